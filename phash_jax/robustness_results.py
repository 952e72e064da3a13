"""The accuracies of networks on distorted images: ``results.json``, and RobustBench's CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phash_jax.distortions import CLEAN
from phash_jax.networks import Networks
from phash_jax.whole_files import write_rows

# RobustBench writes its columns in this order.
_ROBUSTBENCH_ORDER = (
    "shot_noise",
    "motion_blur",
    "snow",
    "pixelate",
    "gaussian_noise",
    "defocus_blur",
    "brightness",
    "fog",
    "zoom_blur",
    "frost",
    "glass_blur",
    "impulse_noise",
    "contrast",
    "jpeg_compression",
    "elastic_transform",
)


def build(
    records: dict[str, dict[str, Any]],
    all_networks: Sequence[Networks],
    *,
    chosen: Sequence[str],
    severities: Sequence[int],
    test_size: int,
) -> dict[str, Any]:
    """The result of the whole grid, ready for JSON.

    Args:
        records: of grid.jsonl, by distortion.
        all_networks: that were tested.
        chosen: distortions, in their order.
        severities: that were tested.
        test_size: images in the test set.

    Returns:
        ``severities``, ``distortions``, ``test_size`` and ``networks``: for each run its
        ``folder``, ``seeds``, ``num_steps``, ``preprocess``, ``sha256``, ``clean``, a list over
        seeds, and ``accuracy``: of each distortion ``[severity][seed]``, means over draws.
    """
    found = {}
    for networks in all_networks:
        accuracy = {
            name: np.mean(np.asarray(records[name]["correct"][networks.name]) / test_size, 1)
            for name in (CLEAN, *chosen)
        }
        found[networks.name] = {
            "folder": str(networks.folder),
            "seeds": networks.seeds,
            "num_steps": networks.step,
            "preprocess": networks.preprocess,
            "sha256": networks.sha256,
            CLEAN: accuracy[CLEAN][0].tolist(),
            "accuracy": {name: accuracy[name].tolist() for name in chosen},
        }
    return {
        "test_size": test_size,
        "severities": list(severities),
        "distortions": list(chosen),
        "networks": found,
    }


def write_csv(path: Path, result: dict[str, Any]) -> None:
    """Accuracies in the columns of RobustBench's ``unaggregated_results.csv``.

    Two header rows, distortion and severity; a row per network, named by run and seed. The 15 of
    CIFAR-10-C come in RobustBench's order, others after them.
    """
    tested = result["distortions"]
    chosen = [name for name in _ROBUSTBENCH_ORDER if name in tested]
    chosen += [name for name in tested if name not in chosen]
    columns = [
        (name, i, severity) for name in chosen for i, severity in enumerate(result["severities"])
    ]
    rows = [["", *(name for name, _, _ in columns)], ["", *(severity for *_, severity in columns)]]
    for run_name, networks in result["networks"].items():
        for place, seed in enumerate(networks["seeds"]):
            values = [networks["accuracy"][name][i][place] for name, i, _ in columns]
            rows.append([f"{run_name}_seed_{seed}", *(f"{v:.10g}" for v in values)])
    write_rows(path, rows)
