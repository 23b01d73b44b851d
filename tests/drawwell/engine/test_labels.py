"""Labels of a local generator: chosen ones, those of the addresses, and wrong ones."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import drawwell as library
from drawwell.engine.engine import Engine
from drawwell.errors import RequestError
from tests import graphs
from tests.conftest import drawwell


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every image is its label everywhere."""
    return graphs.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.onnx", "boot", "coat", "7")


@pytest.fixture(scope="module")
def engine(file: Path) -> Engine:
    return Engine(file, threads=1)


@pytest.mark.parametrize(
    "labels",
    [
        "7",
        ["7"] * 5,
        ["7", 2, "2", np.int64(2), "7"],
        np.array(["7"] * 5),
        2,
        np.int64(2),
        [2] * 5,
        (2,) * 5,
        np.full(5, 2, np.uint8),
    ],
)
def test_a_label_is_one_for_all_or_one_for_each(engine: Engine, labels: Any) -> None:
    batch = engine.generate(7, 5, labels=labels)
    assert batch.labels is not None
    assert batch.labels.dtype == np.int64
    assert batch.labels.tolist() == [2] * 5
    assert (batch.images == 2).all()


def test_each_image_has_its_label_in_whatever_piece_it_is_drawn(engine: Engine) -> None:
    count = 2 * engine.piece_images + 3
    labels = np.random.default_rng(0).integers(0, 3, count)
    batch = engine.generate(7, count, labels=labels)
    np.testing.assert_array_equal(batch.images[:, 0, 0, 0], labels)
    np.testing.assert_array_equal(engine.generate(7, indices=[9, 2], labels=[0, 2]).images[:, 0, 0, 0], [0, 2])


def test_the_labels_of_the_addresses_given_are_the_same_images(engine: Engine) -> None:
    batch = engine.generate(7, 100)
    assert batch.labels is not None
    assert set(batch.labels.tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(engine.generate(7, 100, labels=batch.labels).images, batch.images)


def test_a_batch_does_not_follow_the_callers_array(engine: Engine) -> None:
    labels = np.array([0, 1, 2])
    batch = engine.generate(7, 3, labels=labels)
    labels[:] = 0
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 1, 2]


WRONG = [
    (3, r"a label must be in \[0, 3\), not 3: the classes are 'boot', 'coat', '7'$"),
    (-1, r"a label must be in \[0, 3\), not -1"),
    ([0, 3], r"a label must be in \[0, 3\), not 3"),
    (np.array([0, 2**63], np.uint64), r"a label must be in \[0, 3\), not 9223372036854775808"),
    ([0], "1 labels for 2 images: give one for all, or one for each"),
    ([], "0 labels for 2 images"),
    (True, "a label must be a name or an integer, not bool"),
    ([0, False], "a label must be a name or an integer, not bool"),
    (1.0, "a label must be a name or an integer, not float"),
    ([0, 1.0], "a label must be a name or an integer, not float"),
    (np.array([0.0, 1.0]), "labels must be integers or names in one dimension, not float64 in 1"),
    (np.array([[0, 1]]), "labels must be integers or names in one dimension, not int64 in 2"),
    (np.array([True, False]), "labels must be integers or names in one dimension, not bool in 1"),
    ("77", "there is no class '77': the classes are 'boot', 'coat', '7', by index 0 to 2"),
    (["boot", "hat"], "there is no class 'hat'"),
    (["boot"], "1 labels for 2 images"),
    (np.array(["boot", "hat"]), "there is no class 'hat'"),
    ([0, None], "a label must be a name or an integer, not NoneType"),
]


@pytest.mark.parametrize(("labels", "sentence"), WRONG, ids=lambda value: repr(value)[:40])
def test_wrong_labels_are_explained(engine: Engine, labels: Any, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        engine.generate(7, 2, labels=labels)


def test_of_many_classes_a_dozen_are_named(tmp_path: Path) -> None:
    engine = Engine(graphs.write_labelled(tmp_path / "many.onnx", *map(str, range(1000))), threads=1)
    with pytest.raises(RequestError, match=r"in \[0, 1,000\), not 1000: the classes are '0', .*, '11' and 988 more$"):
        engine.generate(7, 2, labels=1000)


@pytest.mark.parametrize("labels", [0, [0, 0], [], "x"])
def test_a_generator_without_classes_takes_no_label(tmp_path: Path, labels: Any) -> None:
    engine = Engine(graphs.write(tmp_path / "plain.onnx", graphs.plain_model()), threads=1)
    with pytest.raises(RequestError, match="this generator takes no label"):
        engine.generate(7, 2, labels=labels)


@pytest.mark.parametrize(("label", "index"), [("coat", 1), ("0", 0), ("7", 2), ("2", 2)])
def test_generate_takes_a_class_by_name_else_by_index(tmp_path: Path, file: Path, label: str, index: int) -> None:
    out = tmp_path / "x.npy"
    drawwell("generate", str(file), "--seed", "7", "--count", "3", "--label", label, "--out", str(out))
    assert (np.load(out) == index).all()


def test_files_of_a_chosen_label_are_named_by_it(tmp_path: Path, file: Path) -> None:
    options = ["--seed", "7", "--count", "2", "--start", "9", "--label", "coat", "--out"]
    for out in ("folder", "x.zip"):
        drawwell("generate", str(file), *options, str(tmp_path / out))
    names = ["7-10-1.cls", "7-10-1.png", "7-9-1.cls", "7-9-1.png"]
    assert sorted(one.name for one in (tmp_path / "folder").iterdir()) == names
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert sorted(archive.namelist())[:-1] == names
        assert archive.read("7-9-1.cls") == b"1"
    digest = library.open(file).digest[:12]
    said = drawwell("verify", str(tmp_path / "x.zip")).stdout
    assert said.endswith(f": whole: 2 images of seed 7 from index 9 with label 1, generator {digest}\n")


@pytest.mark.parametrize(
    ("generator", "label", "sentence"),
    [
        ("labelled", "hat", "there is no class 'hat': the classes are 'boot', 'coat', '7'"),
        ("labelled", "3", "there is no class '3': the classes are"),
        ("plain", "coat", "this generator takes no label"),
        (
            "fashion",
            "coat",
            "there is no class 'coat': the classes are 'T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat'",
        ),
    ],
)
def test_a_class_that_there_is_not_leaves_nothing_behind(
    tmp_path: Path, file: Path, generator: str, label: str, sentence: str
) -> None:
    plain, out = graphs.write(tmp_path / "plain.onnx", graphs.plain_model()), tmp_path / "drawn"
    target = {"labelled": str(file), "plain": str(plain)}.get(generator, generator)
    assert sentence in drawwell("generate", target, "--label", label, "--out", str(out), code=1).stderr
    assert not out.exists()
