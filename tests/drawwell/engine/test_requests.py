"""What a call of ``generate`` and ``interpolate`` can say: budgets, selections, a spread, latents; and wrong calls, in a sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawwell.addresses.latents import labels as address_labels
from drawwell.addresses.latents import latents
from drawwell.engine.engine import Engine
from drawwell.errors import RequestError, SelectionError
from drawwell.files.selection import Selection
from drawwell.http.client import Client
from drawwell.image_request import ImageRequest
from tests import graphs
from tests.conftest import StartServer, drawwell

NAMES = ("boot", "coat", "7")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every image is its label everywhere."""
    return graphs.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.onnx", *NAMES)


@pytest.fixture(scope="module")
def engine(file: Path) -> Engine:
    return Engine(file, threads=1)


@pytest.fixture(scope="module")
def fashion() -> Iterator[Engine]:
    with Engine(Path("drawwell/models/fashion.onnx"), threads=1) as engine:
        yield engine


@pytest.fixture(scope="module")
def remote(start_server: StartServer) -> Iterator[Client]:
    with Client(start_server(Path("drawwell/models/fashion.onnx"), DRAWWELL_MAX_COUNT="100").url) as client:
        yield client


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**63 - 1), start=st.integers(0, 2**62), boots=st.integers(1, 400), coats=st.integers(0, 5))
def test_a_budget_is_the_first_indices_of_each_class(
    engine: Engine, seed: int, start: int, boots: int, coats: int
) -> None:
    budgets = {"boot": boots} | ({"coat": coats} if coats else {})
    batch = engine.generate(seed, start=start, per_class=budgets)
    window = range(start, start + 64 * 3 * boots)
    labels = address_labels(seed, window, 3, graphs.DIM)
    taken = [np.flatnonzero(labels == 0)[:boots], np.flatnonzero(labels == 1)[:coats]]
    np.testing.assert_array_equal(batch.indices, start + np.sort(np.concatenate(taken)))
    np.testing.assert_array_equal(batch.images[:, 0, 0, 0], batch.labels)


def test_a_budget_gives_the_images_of_its_addresses_on_a_server_too(fashion: Engine, remote: Client) -> None:
    here, there = (one.generate(7, per_class={"Sneaker": 120, "8": 20}) for one in (fashion, remote))
    np.testing.assert_array_equal(here.images, fashion.generate(7, indices=here.indices).images)
    np.testing.assert_array_equal(here.images, there.images)
    np.testing.assert_array_equal(here.indices, there.indices)
    assert here.labels is not None and np.bincount(here.labels)[[7, 8]].tolist() == [120, 20]


@pytest.mark.parametrize(
    "arguments",
    [
        {"spread": 1.5},
        {"truncation": 0.5},
        {"latents": True},
        {"latents": True, "spread": 0.7, "labels": ["Bag"] * 130},
    ],
    ids=repr,
)
def test_a_server_draws_what_a_file_draws(fashion: Engine, remote: Client, arguments: dict[str, Any]) -> None:
    which: dict[str, Any] = {"seed": 7, "count": 130}
    if "latents" in arguments:
        z = latents(7, range(130), fashion.card.latent_dim)
        which = {"labels": 3} | arguments | {"latents": z.tolist()}
    here, there = (one.generate(**{**which, **(arguments if "seed" in which else {})}) for one in (fashion, remote))
    np.testing.assert_array_equal(here.images, there.images)
    assert here.spread == there.spread == arguments.get("spread", arguments.get("truncation", 1.0))


def test_latents_of_addresses_are_their_images_and_spread_multiplies_them(fashion: Engine) -> None:
    plain = fashion.generate(7, 5)
    z = latents(7, range(5), fashion.card.latent_dim)
    np.testing.assert_array_equal(fashion.generate(latents=z, labels=plain.labels).images, plain.images)
    scaled = fashion.generate(latents=z * np.float32(1.25), labels=plain.labels)
    np.testing.assert_array_equal(fashion.generate(7, 5, spread=1.25).images, scaled.images)
    np.testing.assert_array_equal(
        fashion.generate(7, 5, spread=0.5).images, fashion.generate(7, 5, truncation=0.5).images
    )
    assert (scaled.seed, scaled.indices) == (None, range(5))


def test_an_interpolation_goes_from_one_image_to_the_other(fashion: Engine, remote: Client) -> None:
    here, there = (one.interpolate((7, 3), (8, 9), 120, labels="Bag") for one in (fashion, remote))
    np.testing.assert_array_equal(here.images, there.images)
    np.testing.assert_array_equal(here.images[0], fashion.generate(7, 1, 3, labels=8).images[0])
    ends = fashion.generate(8, 1, 9, labels=8).images[0]
    assert np.abs(here.images[-1].astype(int) - ends).max() <= 1


def selection(engine: Engine | Client, **more: Any) -> Selection:
    return Selection(engine.digest, 7, np.arange(3, 300, 2), **more)


@pytest.mark.parametrize("more", [{}, {"labels": 8}, {"labels": np.arange(149) % 10}, {"spread": 1.25}], ids=repr)
def test_a_selection_is_its_addresses(fashion: Engine, remote: Client, tmp_path: Path, more: dict[str, Any]) -> None:
    chosen = selection(fashion, **more)
    chosen.write(tmp_path / "s.json")
    expected = fashion.generate(7, indices=chosen.indices, **more)
    for one, given_as in ((fashion, chosen), (remote, tmp_path / "s.json")):
        batch = one.generate(selection=given_as)
        np.testing.assert_array_equal(batch.images, expected.images)
        np.testing.assert_array_equal(batch.labels, expected.labels)
        part = one.generate(selection=given_as, start=100, count=20)
        np.testing.assert_array_equal(part.images, expected.images[100:120])
        np.testing.assert_array_equal(part.indices, chosen.indices[100:120])
    assert len(fashion.generate(selection=chosen, start=140)) == 9


ENDS: dict[str, Any] = {"first": (7, 0), "last": (7, 1), "steps": 3, "labels": 0}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"count": 2}, "give a seed, or a selection or latents in its place"),
    ({"seed": 7, "per_class": {"hat": 1}}, "there is no class 'hat': the classes are 'boot', 'coat', '7'"),
    ({"seed": 7, "per_class": {}}, "per_class must name at least one class and its number of images"),
    ({"seed": 7, "per_class": {"7": 1, 2: 1}}, "per_class names the class '2' twice, by name and by index"),
    ({"seed": 7, "per_class": {"boot": 0}}, "per_class wants 0 images of 'boot': give 1 or more"),
    ({"seed": 7, "per_class": {"boot": True}}, "per_class wants True images of 'boot'"),
    ({"seed": 7, "per_class": {"boot": 1}, "count": 3}, "per_class replaces count: give one or the other"),
    (
        {"seed": 7, "per_class": {"boot": 900, "coat": 1}, "start": 2**63 - 40},
        r"within 40 indices, which have \d+ of 900 images of 'boot': ask for fewer, or start lower",
    ),
    ({"seed": 7, "count": 1, "spread": 0}, "spread must be a number above 0 and at most 2, not 0"),
    ({"seed": 7, "count": 1, "spread": 2.1}, "spread must be a number above 0 and at most 2, not 2.1"),
    ({"seed": 7, "count": 1, "spread": float("nan")}, "spread must be a number above 0 and at most 2, not nan"),
    ({"seed": 7, "count": 1, "truncation": 1.5}, "truncation must be a number above 0 and at most 1, not 1.5"),
    ({"seed": 7, "count": 1, "truncation": 0.5, "spread": 0.5}, "give one or the other"),
    ({"latents": [[0.0] * graphs.DIM]}, "without an address there is no label: give labels too"),
    ({"latents": [[0.0]], "labels": 0}, r"latents must have the shape \[N, 4\] for this generator, not \[1, 1\]"),
    ({"latents": [[1e39] * graphs.DIM], "labels": 0}, "latents must be finite numbers"),
    ({"latents": [["x"] * graphs.DIM], "labels": 0}, "latents must be numbers, one row for each image"),
    ({"latents": [[0.0] * graphs.DIM], "labels": 0, "seed": 7}, "latents replaces seed"),
    (ENDS | {"steps": 1}, "steps must be an integer of at least 2, not 1"),
    (ENDS | {"last": 7}, r"last must be an address, \(seed, index\), not 7"),
    (ENDS | {"first": (-1, 0)}, "seed must be in"),
    (ENDS | {"labels": None}, "without an address there is no label"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=lambda value: repr(value)[:50])
def test_a_wrong_call_is_a_sentence(engine: Engine, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        engine.interpolate(**arguments) if "steps" in arguments else engine.generate(**arguments)


def test_a_selection_that_does_not_fit_is_a_sentence(engine: Engine, fashion: Engine, tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="the selection is of generator"):
        engine.generate(selection=selection(fashion))
    with pytest.raises(SelectionError, match=r"x.json: cannot be read \(No such file or directory\)"):
        engine.generate(selection=tmp_path / "x.json")
    with pytest.raises(RequestError, match=r"a label must be in \[0, 3\), not 8"):
        engine.generate(selection=selection(engine, labels=8))
    for arguments, sentence in (
        ({"seed": 7, "labels": 0}, "selection replaces seed and labels: give one or the other"),
        ({"spread": 1.5}, "a selection has a spread of its own: leave truncation and spread out"),
        ({"start": 140, "count": 10}, "the selection has 149 images, and start and count name up to 150"),
        ({"start": 149}, "the selection has 149 images"),
    ):
        with pytest.raises(RequestError, match=sentence):
            engine.generate(selection=selection(engine), **arguments)


def test_the_command_takes_budgets_and_selections(engine: Engine, file: Path, tmp_path: Path) -> None:
    options = ["--seed", "7", "--per-class", "boot=30,7=20", "--out", str(tmp_path / "x.npy")]
    drawwell("generate", str(file), *options)
    np.testing.assert_array_equal(
        np.load(tmp_path / "x.npy"), engine.generate(7, per_class={"boot": 30, "7": 20}).images
    )
    selection(engine, labels=np.arange(149) % 3, spread=0.5).write(tmp_path / "s.json")
    part = ["--selection", str(tmp_path / "s.json"), "--start", "5", "--count", "100"]
    drawwell("generate", str(file), *part, "--out", str(tmp_path / "x.tar"))
    drawwell("generate", str(file), *part, "--out", str(tmp_path / "y.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy")[:, 0, 0, 0], np.arange(5, 105) % 3)
    assert "whole: 100 images of seed 7 at chosen indices" in drawwell("verify", str(tmp_path / "x.tar")).stdout
    assert b'"spread":0.5' in (tmp_path / "x.tar").read_bytes().replace(b" ", b"")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--per-class", "boot"], "the budgets 'boot' cannot be read: write them as Sneaker=500,Bag=200"),
        (["--per-class", "boot=1,boot=2"], "name a class twice"),
        (["--per-class", "hat=1"], "there is no class 'hat'"),
        (["--per-class", "boot=1", "--label", "coat"], "per_class replaces labels"),
        (["--selection", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_a_wrong_option_is_a_sentence(file: Path, options: list[str], sentence: str) -> None:
    assert sentence in drawwell("generate", str(file), *options, "--out", "/dev/null/x.npy", code=1).stderr


def test_a_part_of_a_request_is_its_images() -> None:
    whole = ImageRequest(7, range(10), np.arange(10))
    part = whole.part(slice(3, 5))
    assert part.indices == range(3, 5) and isinstance(part.labels, np.ndarray) and part.labels.tolist() == [3, 4]
