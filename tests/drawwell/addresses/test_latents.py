"""Contract 1: the address."""

import json
import math
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawwell.addresses.latents import Prior, labels, latents, members

VECTORS = json.loads(Path(__file__).with_name("known_addresses.json").read_text())
PRIORS: list[Prior] = ["normal", "uniform"]
INTEGER63 = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['seed']}-{vector['index']}-{vector['prior']}")
def test_known_addresses_never_change(vector: dict[str, Any]) -> None:
    seed, index = int(vector["seed"]), int(vector["index"])
    drawn = latents(seed, [index], vector["dim"], vector["prior"])
    assert drawn.dtype == np.float32
    assert drawn[0].tolist() == vector["latents"]
    assert labels(seed, [index], vector["classes"], vector["dim"], vector["prior"]).tolist() == [vector["label"]]
    assert members(seed, [index], vector["members"], vector["dim"], vector["prior"]).tolist() == [vector["member"]]


@given(seed=INTEGER63, index=INTEGER63, dim=st.integers(1, 130), prior=st.sampled_from(PRIORS))
def test_rows_follow_the_written_recipe(seed: int, index: int, dim: int, prior: Prior) -> None:
    """The module's docstring, written down once more without numpy."""
    words_taken = dim if prior == "uniform" else (dim + 1) // 2
    blocks = -(-(1 + words_taken) // 4)
    first, *words = [word for block in range(blocks) for word in philox4x64(index * blocks + block, seed)]
    assert labels(seed, [index], 10, dim, prior).tolist() == [(first >> 32) * 10 >> 32]
    assert members(seed, [index], 7, dim, prior).tolist() == [first % 2**32 * 7 >> 32]
    words = words[:words_taken]
    if prior == "uniform":
        expected = [(word >> 40) / 2**23 - 1 for word in words]
    else:
        radii = [math.sqrt(-2 * math.log(((word >> 32) + 1) / 2**32)) for word in words]
        angles = [2 * math.pi * (word % 2**32) / 2**32 for word in words]
        pairs = [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
        expected = [number for pair in pairs for number in pair][:dim]
    np.testing.assert_allclose(latents(seed, [index], dim, prior)[0], expected, rtol=1.2e-7, atol=1e-15)


@given(
    seed=INTEGER63,
    start=st.integers(0, 2**63 - 200),
    cuts=st.lists(st.integers(0, 150), max_size=5),
    dim=st.integers(1, 120),
    prior=st.sampled_from(PRIORS),
)
def test_any_split_of_a_range_gives_the_same_rows(
    seed: int, start: int, cuts: list[int], dim: int, prior: Prior
) -> None:
    whole = latents(seed, range(start, start + 150), dim, prior)
    edges = [0, *sorted(cuts), 150]
    parts = [latents(seed, range(start + a, start + b), dim, prior) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@given(seed=INTEGER63, indices=st.lists(INTEGER63 | st.integers(0, 9), max_size=30), prior=st.sampled_from(PRIORS))
def test_scattered_indices_give_the_rows_of_each(seed: int, indices: list[int], prior: Prior) -> None:
    together = latents(seed, indices, 10, prior)
    assert together.shape == (len(indices), 10)
    for row, index in zip(together, indices, strict=True):
        np.testing.assert_array_equal(row, latents(seed, range(index, index + 1), 10, prior)[0])
    for one in (labels, members):
        assert one(seed, indices, 7, 10, prior).tolist() == [one(seed, [index], 7, 10, prior)[0] for index in indices]


@pytest.mark.parametrize("prior", PRIORS)
def test_ranges_arrays_and_lists_are_the_same_indices(prior: Prior) -> None:
    wanted = latents(3, [4, 6, 8], 5, prior)
    np.testing.assert_array_equal(latents(3, range(4, 9, 2), 5, prior), wanted)
    np.testing.assert_array_equal(latents(3, np.array([4, 6, 8], np.uint16), 5, prior), wanted)


def test_the_normal_prior_is_normal() -> None:
    z = latents(1, range(20_000), 100).astype(np.float64)
    assert abs(z.mean()) < 4 / math.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / z.size)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / z.size)
    correlation = np.corrcoef(z[:, :20], rowvar=False) - np.eye(20)
    assert abs(correlation).max() < 5 / math.sqrt(len(z))


def test_the_uniform_prior_is_uniform_and_below_one() -> None:
    z = latents(1, range(20_000), 100, "uniform").astype(np.float64)
    assert z.min() >= -1
    assert z.max() < 1
    counts = np.histogram(z, bins=64, range=(-1, 1))[0]
    assert abs(counts - z.size / 64).max() < 5 * math.sqrt(z.size / 64)


def test_labels_are_uniform_over_the_classes() -> None:
    counts = np.bincount(labels(5, range(50_000), 10, 100), minlength=10)
    assert len(counts) == 10
    assert abs(counts - 5000).max() < 5 * math.sqrt(5000)


def test_members_are_uniform_within_every_class() -> None:
    pairs = labels(5, range(50_000), 10, 100) * 4 + members(5, range(50_000), 4, 100)
    counts = np.bincount(pairs, minlength=40)
    assert len(counts) == 40
    assert abs(counts - 1250).max() < 5 * math.sqrt(1250)


def test_a_plain_file_is_a_mixture_of_one() -> None:
    assert not members(5, range(1000), 1, 100).any()


@pytest.mark.parametrize("seed", [-1, 2**63, 2**100])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"seed must be in \[0, 2\*\*63\)"):
        latents(seed, [0], 4)


@pytest.mark.parametrize("indices", [[-1], [2**63], range(2**63 - 1, 2**63 + 1), range(-1, 3)])
def test_an_index_out_of_range_is_refused(indices: list[int]) -> None:
    with pytest.raises(ValueError, match=r"index must be in \[0, 2\*\*63\)"):
        latents(0, indices, 4)


@pytest.mark.parametrize(
    ("seed", "indices"), [("7", [0]), (7.0, [0]), (True, [0]), (7, ["0"]), (7, [0.0]), (7, np.array([0.5]))]
)
def test_what_is_no_integer_is_refused(seed: object, indices: object) -> None:
    with pytest.raises(TypeError, match="integer"):
        latents(seed, indices, 4)  # type: ignore[arg-type]


def philox4x64(block: int, key: int) -> list[int]:
    """Ten rounds of Salmon et al. 2011, section 4.3, in Python's integers."""
    counter = [block >> shift & (2**64 - 1) for shift in (0, 64, 128, 192)]
    keys = [key, 0]
    for _ in range(10):
        high_0, low_0 = divmod(counter[0] * 0xD2E7470EE14C6C93, 2**64)
        high_1, low_1 = divmod(counter[2] * 0xCA5A826395121157, 2**64)
        counter = [high_1 ^ counter[1] ^ keys[0], low_1, high_0 ^ counter[3] ^ keys[1], low_0]
        keys = [(keys[0] + 0x9E3779B97F4A7C15) % 2**64, (keys[1] + 0xBB67AE8584CAA73B) % 2**64]
    return counter


def test_labels_of_many_images_take_little_memory() -> None:
    """Also where a card says that there are 65,536 latents: the runs of these images are 650 MB."""
    tracemalloc.start()
    try:
        several = labels(7, range(2500), 10, 2**16)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 64 * 2**20
    assert several[2400:].tolist() == labels(7, range(2400, 2500), 10, 2**16).tolist()
