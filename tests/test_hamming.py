"""Hamming distances and searches against NumPy, exactly, on one device and on eight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType

from phash_jax import codes, hamming

ONE, EIGHT = jax.devices()[:1], jax.devices()


def make_codes(seed: int, number: int, words: int, num_random_bits: int = 32) -> np.ndarray:
    """Random codes; with few random bits per word many are near each other or equal."""
    values = np.random.default_rng(seed).integers(0, 2**num_random_bits, (number, words))
    return values.astype(np.uint32)


def bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.bitwise_count(a[:, None] ^ b[None]).sum(-1, dtype=np.int64)


def expected_pairs(a, b, radius) -> np.ndarray:
    """Left, right, distance of all pairs, row by row."""
    matrix = bits(a, a if b is None else b)
    within = matrix <= radius
    left, right = np.nonzero(np.triu(within, 1) if b is None else within)
    return np.stack([left, right, matrix[left, right]])


def listed(pairs: hamming.Pairs) -> np.ndarray:
    return np.stack(pairs[:3])


@pytest.mark.parametrize("num_words", [1, 2, 8])
def test_distances_are_those_of_python_integers_and_text(num_words):
    a, b = make_codes(0, 40, num_words), make_codes(1, 40, num_words, num_random_bits=9)
    as_int = [int.from_bytes(code.astype(">u4").tobytes(), "big") for code in np.append(a, b, 0)]
    pairs = list(zip(as_int[:40], as_int[40:], strict=True))
    width = 8 * num_words
    texts = [(f"{x:0{width}x}", f"{y:0{width}x}") for x, y in pairs]
    assert np.asarray(hamming.distance(a, b)).tolist() == [(x ^ y).bit_count() for x, y in pairs]
    assert np.asarray(hamming.hex_distance(a, b)).tolist() == [
        sum(p != q for p, q in zip(*text, strict=True)) for text in texts
    ]


def test_equal_codes_are_0_apart_and_complements_all_bits():
    a = make_codes(0, 9, 8)
    assert not np.asarray(hamming.distance(a, a)).any()
    assert not np.asarray(hamming.hex_distance(a, a)).any()
    assert (np.asarray(hamming.distance(a, ~a)) == 256).all()
    assert (np.asarray(hamming.hex_distance(a, ~a)) == 64).all()


@pytest.mark.parametrize("shape", [(8, 8), (14, 3), (1, 1), (16, 16)])
def test_the_padding_of_codes_adds_nothing(shape):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 20, *shape)).astype(bool)
    packed = codes.pack(jnp.asarray(a)), codes.pack(jnp.asarray(b))
    texts = zip(codes.to_hex(a), codes.to_hex(b), strict=True)
    assert np.asarray(hamming.distance(*packed)).tolist() == (a != b).sum((1, 2)).tolist()
    assert np.asarray(hamming.hex_distance(*packed)).tolist() == [
        sum(p != q for p, q in zip(*text, strict=True)) for text in texts
    ]


def test_distances_broadcast_and_work_inside_jit():
    a, b = make_codes(0, 6, 2), make_codes(1, 4, 2)
    for function in (hamming.distance, hamming.hex_distance):
        one_by_one = [[int(function(x, y)) for y in b] for x in a]
        assert jax.jit(function)(a[:, None], b).tolist() == one_by_one


def test_all_distances_gives_the_matrix():
    a, b = make_codes(0, 7, 2), make_codes(1, 5, 2)
    np.testing.assert_array_equal(hamming.all_distances(a, b), bits(a, b))
    np.testing.assert_array_equal(hamming.all_distances(jnp.asarray(a)), bits(a, a))
    assert hamming.all_distances(a[:0], b).shape == (0, 5)


# Around the multiples of a block, 32 rows or fewer, and of a chunk, 256 lanes or fewer.
sizes = st.sampled_from([0, 1, 33, 64, 300])


@settings(deadline=None, max_examples=10)
@given(
    num_left=sizes,
    num_right=st.none() | sizes,
    num_words=st.sampled_from([1, 2, 8]),
    radius=st.integers(0, 70),
    max_pairs=st.sampled_from([0, 1, 100, 10**6]),
    num_random_bits=st.sampled_from([2, 32]),
    devices=st.sampled_from([ONE, EIGHT[:3]]),
)
def test_searches_are_exact(
    num_left, num_right, num_words, radius, max_pairs, num_random_bits, devices
):
    a = make_codes(0, num_left, num_words, num_random_bits)
    b = None if num_right is None else make_codes(1, num_right, num_words, num_random_bits)
    expected = expected_pairs(a, b, radius)
    count = hamming.count_within(a, b, radius=radius, devices=devices)
    found = hamming.pairs_within(a, b, radius=radius, max_pairs=max_pairs, devices=devices)
    assert count == found.total == expected.shape[1]
    np.testing.assert_array_equal(listed(found), expected[:, :max_pairs])


@pytest.mark.parametrize("b", [None, make_codes(1, 2100, 2, num_random_bits=6)])
def test_eight_devices_find_what_one_finds(b):
    a = make_codes(0, 3000, 2, num_random_bits=6)
    expected = expected_pairs(a, b, 2)
    for devices in (ONE, EIGHT):
        found = hamming.pairs_within(a, b, radius=2, max_pairs=10**6, devices=devices)
        assert hamming.count_within(a, b, radius=2, devices=devices) == found.total
        np.testing.assert_array_equal(listed(found), expected)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_searches_work_within_a_mesh_of_the_callers(kind):
    a, b = make_codes(0, 30, 2, num_random_bits=6), make_codes(1, 50, 2, num_random_bits=6)
    mesh = jax.make_mesh((4, 2), ("batch", "model"), (kind, kind))
    with jax.set_mesh(mesh):
        counts = hamming.count_within(a, b, radius=4, devices=ONE)
        pairs = hamming.pairs_within(a, b, radius=4, max_pairs=1500, devices=EIGHT)
        nearest = hamming.k_nearest(a, b, k=3)
    np.testing.assert_array_equal(counts, (bits(a, b) <= 4).sum())
    np.testing.assert_array_equal(listed(pairs), expected_pairs(a, b, 4))
    np.testing.assert_array_equal(nearest.distance, np.sort(bits(a, b), axis=1)[:, :3])


def test_what_is_found_may_be_changed():
    a = make_codes(0, 20, 2, num_random_bits=4)
    nearest = hamming.k_nearest(a, a, k=2)
    for array in (*nearest, *hamming.pairs_within(a, radius=3, max_pairs=9)[:3]):
        array += 1


def test_nothing_is_moved_to_a_device_unasked():
    a, b = (make_codes(seed, 20, 2, num_random_bits=4) for seed in range(2))
    with jax.transfer_guard("disallow"):
        count = hamming.count_within(a, b, radius=3)
        pairs = hamming.pairs_within(a, b, radius=3, max_pairs=400)
        nearest = hamming.k_nearest(a, b, k=2)
    assert count == (bits(a, b) <= 3).sum() > 0
    np.testing.assert_array_equal(listed(pairs), expected_pairs(a, b, 3))
    np.testing.assert_array_equal(nearest.distance, np.sort(bits(a, b), 1)[:, :2])


def test_codes_of_many_words_are_searched():
    a = make_codes(0, 70, 100, num_random_bits=1)
    found = hamming.pairs_within(a, radius=45, max_pairs=10**6, devices=ONE)
    expected = expected_pairs(a, None, 45)
    assert 0 < found.total < 70 * 69 // 2
    np.testing.assert_array_equal(listed(found), expected)


def test_hits_that_do_not_fit_at_once_are_searched_in_batches(monkeypatch):
    monkeypatch.setattr(hamming, "_MOST_BYTES_OF_HITS", 500)
    monkeypatch.setattr(hamming, "_HITS_AT_ONCE", 10)
    a = make_codes(0, 600, 2, num_random_bits=5)
    found = hamming.pairs_within(a, radius=3, max_pairs=10**6, devices=ONE)
    np.testing.assert_array_equal(listed(found), expected_pairs(a, None, 3))


@pytest.mark.parametrize("blocks", [1, 2])
def test_all_rows_at_once_as_on_an_accelerator_find_the_same(monkeypatch, blocks):
    tile = hamming._Tile(lanes=128, lane_words=2**18, blocks=blocks, in_steps=False)
    monkeypatch.setitem(hamming._TILES, "cpu", tile)
    a, b = make_codes(0, 700, 2, num_random_bits=5), make_codes(1, 300, 2, num_random_bits=5)
    for other in (None, b):
        found = hamming.pairs_within(a, other, radius=3, max_pairs=10**6)
        np.testing.assert_array_equal(listed(found), expected_pairs(a, other, 3))
        assert hamming.count_within(a, other, radius=3) == found.total


def test_a_gpu_is_given_no_loop_but_that_over_the_chunks():
    tile, mesh = hamming._TILES["gpu"], hamming._mesh(ONE)
    rows, radii = hamming._row_blocks(make_codes(0, 100, 2), 3, tile)
    lanes, start = np.zeros((1, 2, 2, 64), np.uint32), np.zeros((1, 2, 64), np.int32)
    counted = hamming._count.trace(mesh, tile.in_steps, lanes, start, rows, radii)
    listed = hamming._hits.trace(mesh, tile, lanes, rows, radii)
    for traced in (counted, listed):
        lowered = traced.lower(lowering_platforms=("cuda",)).as_text()
        assert lowered.count("stablehlo.while") == 1


def test_a_count_beyond_32_bits_is_exact():
    equal = np.zeros((70_000, 1), np.uint32)
    assert hamming.count_within(equal, radius=0) == 70_000 * 69_999 // 2
    assert hamming.count_within(equal, equal, radius=0) == 70_000**2
    found = hamming.pairs_within(equal, equal, radius=0, max_pairs=70_001)
    assert found.total == 70_000**2
    assert [found.left[-1], found.right[-1]] == [1, 0]


def test_a_list_that_is_cut_tells_how_many_pairs_there_are():
    a = np.zeros((10, 2), np.uint32)
    found = hamming.pairs_within(a, radius=0, max_pairs=12)
    assert found.total == 45
    assert list(zip(found.left.tolist(), found.right.tolist(), strict=True)) == [
        *((0, right) for right in range(1, 10)),
        *((1, right) for right in range(2, 5)),
    ]


@pytest.mark.parametrize(("a", "b"), [(0, None), (1, None), (0, 0), (0, 5), (5, 0)])
def test_no_pairs_are_found_among_no_codes_or_one(a, b):
    a, b = np.zeros((a, 2), np.uint32), None if b is None else np.zeros((b, 2), np.uint32)
    found = hamming.pairs_within(a, b, radius=64, max_pairs=9)
    assert hamming.count_within(a, b, radius=64) == found.total == 0
    assert listed(found).shape == (3, 0)


def test_a_radius_of_all_bits_or_more_finds_all():
    a = make_codes(0, 50, 2)
    assert hamming.count_within(a, radius=64) == hamming.count_within(a, radius=10**12) == 1225


@settings(deadline=None, max_examples=10)
@given(
    num_queries=st.sampled_from([0, 1, 300]),
    num_codes=st.sampled_from([1, 7, 257]),
    num_words=st.sampled_from([1, 2, 8]),
    share=st.floats(0, 1),
    num_random_bits=st.sampled_from([1, 3, 32]),
    devices=st.sampled_from([ONE, EIGHT]),
)
def test_nearest_are_those_of_a_stable_sort(
    num_queries, num_codes, num_words, share, num_random_bits, devices
):
    queries = make_codes(0, num_queries, num_words, num_random_bits)
    others = make_codes(1, num_codes, num_words, num_random_bits)
    k = 1 + int(share * (num_codes - 1))
    found = hamming.k_nearest(queries, others, k=k, devices=devices)
    matrix = bits(queries, others)
    index = np.argsort(matrix, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.distance, np.take_along_axis(matrix, index, 1))


@pytest.mark.parametrize("in_steps", [True, False])
@pytest.mark.parametrize(("k", "members"), [(1, 4096), (7, 4096), (40, 128), (600, 4096)])
def test_equally_near_codes_come_by_index_across_groups_and_tiles(
    k, members, in_steps, monkeypatch
):
    monkeypatch.setattr(hamming, "_NEAREST_GROUPS", 4)
    monkeypatch.setattr(hamming, "_NEAREST_MEMBERS", members)
    monkeypatch.setitem(hamming._TILES, "cpu", hamming._TILES["cpu"]._replace(in_steps=in_steps))
    # None is 0, so that no other is as near to 0 as padding would be.
    others = make_codes(0, 650, 1, num_random_bits=3) | np.uint32(8)
    queries = np.concatenate([others[::200], ~others[:2], np.zeros((1, 1), np.uint32)])
    found = hamming.k_nearest(queries, others, k=k, devices=ONE)
    expected = np.argsort(bits(queries, others), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.index, expected)


A = np.zeros((3, 2), np.uint32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hamming.distance(A, A.astype(np.uint64)), r"b must be codes packed in uint32"),
        (lambda: hamming.hex_distance(A.astype(float), A), r"phash_jax\.codes\.pack\), got float"),
        (lambda: hamming.distance(np.uint32(1), A), r"a must have its words on the last axis"),
        (lambda: hamming.distance(A[:, :0], A[:, :0]), r"got shape \(3, 0\)"),
        (lambda: hamming.distance(A, A[:, :1]), "of 2 and of 1 words cannot be compared"),
        (lambda: hamming.all_distances(A, A[:, :1]), "of 2 and of 1 words cannot be compared"),
        (lambda: hamming.all_distances(A[0]), r"a must have shape \[number, words\], got \(2,\)"),
        (lambda: hamming.count_within(A, A[0], radius=1), r"b must have shape \[number, words\]"),
        (lambda: hamming.count_within(A, A[:, :1], radius=1), "of 2 and of 1 words"),
        (lambda: hamming.count_within(A.astype(bool), radius=1), "a must be .* got bool"),
        (lambda: hamming.count_within(A, radius=-1), "radius must be 0 or more, got -1"),
        (lambda: hamming.count_within(A, radius=1, devices=[]), "devices must name at least one"),
        (
            lambda: hamming.pairs_within(A, radius=-2, max_pairs=1),
            "radius must be 0 or more, got -2",
        ),
        (
            lambda: hamming.pairs_within(A, radius=2, max_pairs=-1),
            "max_pairs must be 0 or more, got -1",
        ),
        (lambda: hamming.k_nearest(A, A, k=0), "k must be 1 or more, got 0"),
        (lambda: hamming.k_nearest(A, A, k=4), "from 1 to the number of codes, 3, got 4"),
        (lambda: hamming.k_nearest(A, A[:0], k=1), "from 1 to the number of codes, 0, got 1"),
        (lambda: hamming.k_nearest(A[0], A, k=1), r"queries must have shape \[number, words\]"),
        (lambda: hamming.k_nearest(A, A.astype(np.int32), k=1), "codes must be .* got int32"),
        (lambda: hamming.k_nearest(A, A[:, :1], k=1), "of 2 and of 1 words"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
