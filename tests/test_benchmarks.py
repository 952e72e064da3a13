"""What the benchmarks measure with; their figures are for people to read."""

import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from phash_jax import distortions, robustness


@pytest.fixture
def benchmark(monkeypatch):
    """Imports one of them by name, as its own folder does."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")

    def load(name):
        # Its name may be that of a module of the package's or of a test's.
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        return module

    return load


def test_the_amounts_of_the_floors(benchmark):
    floors = benchmark("floors")
    run, amount = floors.touch(jnp.zeros((2, 4, 4, 3), jnp.uint8))
    run()
    assert amount == 96
    run, amount = floors.multiply(8)
    run(2)
    assert amount == 2 * 8 * 8 * 8
    # A multiple of the eight devices.
    run, amount = floors.count_bits(20)
    run()
    assert amount == 16 * 256


def test_all_of_cifar10c_is_made_and_classified(benchmark, monkeypatch):
    script = benchmark("distortions")
    monkeypatch.setattr(script, "TEST_SIZE", 8)
    few = {"cifar10c": ("brightness",), "extra": ("saturate",)}
    monkeypatch.setattr(distortions, "GROUPS", few)
    classified = []

    def recorded(networks, distortion, batches):
        count = make_count_correct(networks, distortion, batches)

        def of_batch(variables, images, labels, numbers, key, severity):
            counts = count(variables, images, labels, numbers, key, severity)
            classified.append((distortion, int(severity), int(jnp.sum(labels >= 0)), counts))
            return counts

        return of_batch

    make_count_correct = robustness.make_count_correct
    monkeypatch.setattr(robustness, "make_count_correct", recorded)
    assert script.classify() > 0
    seen = [(distortion, severity, images) for distortion, severity, images, _ in classified]
    once = [
        (distortions.DISTORTIONS[name], severity, 8)
        for name in ("brightness", "saturate")
        for severity in range(1, 6)
    ]
    # Once to compile, once to measure.
    assert seen == once * 2
    assert all(0 <= int(counts[0][0]) <= 8 for *_, counts in classified)


def test_programs_are_compiled_for_a_device(benchmark, monkeypatch):
    script = benchmark("accelerators")
    found = script.programs(jax.devices()[:4])
    assert {"dhash, 32 pixels", "preprocess raw", "fog", "count_within, 50,000 codes"} <= set(found)
    row = script.compiled(found["preprocess local_average_hash"])
    assert sum(row["kernels"].values()) > 0
    assert row["temporary_bytes"] > 0

    for name in (
        "train original, 10 seeds",
        "test original, 10 seeds",
        "count_within, 50,000 codes",
        "k_nearest, 50,000 codes",
    ):
        assert found[name]().as_text()


def test_kernels_are_counted_outside_of_fusions(benchmark):
    program = """
%fused_add (p: f32[4]) -> f32[4] {
  %copy.1 = f32[4]{0} copy(%p)
}

ENTRY %main (p: f32[4]) -> f32[4] {
  %add_fusion = f32[4]{0} fusion(%p), kind=kLoop, calls=%fused_add
  %sort.1 = (f32[4]{0}, s32[4]{0}) sort(%p, %q), dimensions={0}
  %conv = (f32[4]{0}, u8[0]{0}) custom-call(%p), custom_call_target="__cudnn$convForward"
}
"""
    assert benchmark("accelerators").kernels(program) == {
        "fusion": 1,
        "sort": 1,
        "__cudnn$convForward": 1,
    }


def test_the_operations_of_a_training_step(benchmark):
    script = benchmark("train_step")
    # Multiply-adds of the study's layers, forward; the pictures need no gradient.
    forward = 4_915_200 + 26_214_400 + 6_553_600 + 262_144 + 32_768 + 256
    assert script.flops_per_step(1) == 2 * (3 * forward - 4_915_200)


def test_two_devices_are_compared_value_for_value(benchmark, monkeypatch, capsys):
    script = benchmark("exactness")
    images, devices = script.make_images([(2, 9, 8, 3)]), tuple(jax.devices()[:2])

    def same(batch):
        return batch + 1

    def other(batch):
        return batch

    def on(device, function, batch):
        result = truly_on(device, function, batch)
        return result ^ (batch == batch[0, 0, 0, 0]) if (device, function) == off else result

    truly_on, off = script.on, (devices[1], other)
    monkeypatch.setattr(script, "on", on)
    functions = {"same": same, "other": other, "allowed": other}
    rows = script.compared(functions, images, devices, exact={"same", "other"})
    differing = int((images[0] == images[0][0, 0, 0, 0]).sum())
    assert 1 <= differing < 2 * 9 * 8 * 3
    assert [(row["differing"], row["failed"]) for row in rows.values()] == [
        *((0, False), (differing, True), (differing, False))
    ]
    assert (rows["other"]["values"], rows["other"]["most"]) == (2 * 9 * 8 * 3, 1)
    hashed = {"phash": lambda batch: script.HASHES["phash"](batch[:1] * 0, with_margin=True)}
    (row,) = script.compared(hashed, images, devices, exact=hashed).values()
    assert (row["fragile"], row["values"], row["failed"]) == (1, 0, False)
    assert "FAILED" in capsys.readouterr().out


def test_searches_and_trainings_are_looked_at(benchmark):
    script = benchmark("exactness")
    device = jax.devices()[0]
    assert all(script.searches(device).values())
    assert script.trainings(device, {"original": 1}, num_steps=2) == {"original": True}
