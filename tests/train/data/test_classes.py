"""What is a class, what is none, and how classes are numbered."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawwell.errors import DrawwellError
from drawwell_train.config import TrainConfig
from drawwell_train.data.classes import number, numbered_as
from drawwell_train.data.dataset import load
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.loop import train
from drawwell_train.main import describe
from drawwell_train.options import TrainOptions
from drawwell_train.resolve import facts_of_images, resolve
from drawwell_train.run import checkpoint
from drawwell_train.run.run_folder import Run
from drawwell_train.step import state as states
from tests.conftest import drawwell
from tests.train.makers import pictures

LATIN_1 = os.fsdecode(b"caf\xe9")
NUMBERED = [f"{name}/{i}.png" for name in range(12) for i in range(2)]


def resolved_for(options: TrainOptions, data: ImageData) -> TrainConfig:
    return resolve(options, facts_of_images(options, data))


def labels_of(data: ImageData) -> list[int]:
    assert data.labels is not None
    return list(data.labels)


@pytest.mark.parametrize(
    "hidden",
    [
        *(".ipynb_checkpoints", ".thumbnails", "@eaDir", "cats/@eaDir", "__MACOSX", ".git"),
        *("@tmp", "#snapshot", "$AVG", "__pycache__", "lost+found"),
    ],
)
def test_hidden_and_system_folders_are_no_classes_and_left_out_with_a_word(tmp_path: Path, hidden: str) -> None:
    folder = pictures(tmp_path, "cats/1.png", "dogs/1.png", f"{hidden}/1.png", f"{hidden}/more/1.png")
    data = load(str(folder), 28)
    assert data.class_names == ("cats", "dogs")
    assert len(data.images) == 2
    assert f"folder '{Path(hidden).name}'" in data.remarks[0]


def test_names_that_only_begin_as_those_of_system_folders_are_read(tmp_path: Path) -> None:
    data = load(str(pictures(tmp_path, "cats/@2x.png", "cats/#1.png", "__dogs/$.png", "dogs__/__1__.png")), 28)
    assert data.class_names == ("__dogs", "cats", "dogs__") and not data.remarks


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "val", "test"), ("training", "validation"), ("valid",)])
def test_parts_of_a_data_set_are_not_taken_for_classes_without_a_word(tmp_path: Path, names: Sequence[str]) -> None:
    folder = pictures(tmp_path, *(f"{name}/{animal}/1.png" for name in names for animal in ("cats", "dogs")))
    (told,) = load(str(folder), 28).remarks
    assert told.startswith(
        f"used as classes: {', '.join(map(repr, sorted(names)))}. They look like parts of a data set"
    )
    assert load(str(folder / names[0]), 28).class_names == ("cats", "dogs")


def test_classes_that_are_called_as_parts_of_a_data_set_may_be(tmp_path: Path) -> None:
    assert not load(str(pictures(tmp_path / "flat", "train/1.png", "test/1.png")), 28).remarks
    assert not load(str(pictures(tmp_path / "more", "train/a/1.png", "bus/a/1.png")), 28).remarks
    labelled = pictures(tmp_path / "labelled", "train/a/1.png", "test/a/1.png")
    (labelled / "labels.csv").write_text("train/a/1.png,x\ntest/a/1.png,y\n")
    assert not load(str(labelled), 28).remarks


def test_data_in_a_hidden_folder_is_data(tmp_path: Path) -> None:
    data = load(str(pictures(tmp_path / ".photos", "cats/1.png", "dogs/1.png")), 28)
    assert data.class_names == ("cats", "dogs")


def test_a_picture_beside_class_folders_is_no_class(tmp_path: Path) -> None:
    """It is learned from, but classes cannot be, until it has one."""
    folder = pictures(tmp_path / "photos", "cats/1.png", "cover.png", "dogs/1.png")
    data = load(str(folder), 28)
    assert (len(data.images), data.labels, data.class_names) == (3, None, ())
    config = resolved_for(TrainOptions(str(folder), size=28), data)
    assert "classes   none: 1 picture lies beside the class folders ('cover.png')" in describe(config, data)
    refused = drawwell("train", str(folder), "--conditional", "--out", str(tmp_path / "run"), code=1).stderr
    assert "the data has no classes: 1 picture lies beside the class folders ('cover.png'): move it into one" in refused
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "names",
    [("é", "e\N{COMBINING ACUTE ACCENT}"), ("cat", " cat"), ("cat", "cat ")],
    ids=["letters", "before", "after"],
)
def test_names_that_look_alike_are_one_class(tmp_path: Path, names: Sequence[str]) -> None:
    folder = pictures(tmp_path, *(f"{name}/{number}.png" for number, name in enumerate(names)), "dog/1.png")
    data = load(str(folder), 28)
    assert data.class_names == tuple(sorted({"dog", unicodedata.normalize("NFC", names[0])}))
    assert sorted(np.bincount(labels_of(data))) == [1, 2]


def test_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    """So that ``--label 2``, which takes a name, and ``"labels": 2``, which takes a place, draw the same."""
    data = load(str(pictures(tmp_path, *NUMBERED)), 28)
    assert data.class_names == tuple(map(str, range(12)))
    assert labels_of(data)[:2] + labels_of(data)[4:6] == [0, 0, 10, 10]  # the images stay in the order of their paths


def test_numbers_that_are_no_labels_are_told(tmp_path: Path) -> None:
    data = load(str(pictures(tmp_path, "1/1.png", "2/1.png")), 28)
    config = resolved_for(TrainOptions("digits", size=28, conditional=True), data)
    assert "names are numbers, but not the labels: '1' is label 0, '2' is label 1" in describe(config, data)


def test_numbers_in_names_count_as_numbers() -> None:
    assert number(["10", "9", "b", "a"])[1] == ("9", "10", "a", "b")
    assert number(["class10", "class2", "class", "class02", "Class1"])[1] == (
        "Class1",
        "class",
        "class02",
        "class2",
        "class10",
    )
    assert number(["2b10", "2b9", "10a", "2a"])[1] == ("2a", "2b9", "2b10", "10a")
    assert number(["9" * 5000, "10"])[1] == ("10", "9" * 5000), "no number of so many digits is made"


@given(st.sets(st.text(st.sampled_from("a b0129"), min_size=1), min_size=1))
def test_classes_have_one_order_however_their_images_are_ordered(names: set[str]) -> None:
    assert number(sorted(names))[1] == number(sorted(names, reverse=True))[1]
    assert set(number(sorted(names))[1]) == names


@pytest.mark.parametrize("names", [None, [*"abcdefghij"]])
def test_classes_without_images_are_none(tmp_path: Path, names: list[str] | None) -> None:
    images = np.zeros((4, 28, 28), np.uint8)
    classes = {} if names is None else {"classes": np.array(names)}
    np.savez(tmp_path / "x.npz", x=images, y=np.array([3, 7, 3, 7]), **classes)  # type: ignore[arg-type]
    data = load(str(tmp_path / "x.npz"))
    assert data.class_names == (("3", "7") if names is None else ("d", "h"))
    assert labels_of(data) == [0, 1, 0, 1]
    assert [*data.remarks] == ([] if names is None else ["left out 8 classes without images: a, b, c, e, f, ..."])


def test_a_class_that_is_not_utf_8_is_told_before_training(tmp_path: Path) -> None:
    folder = pictures(tmp_path, f"{LATIN_1}/1.png", "dogs/1.png")
    data = load(str(folder), 28)
    assert len(data.images) == 2, "its pictures can be learned from"
    with pytest.raises(DrawwellError, match=r"the name of class 'caf\\udce9' is not UTF-8: rename it"):
        resolved_for(TrainOptions("digits", size=28, conditional=True), data)


@pytest.mark.parametrize("option", [{"data": f"/data/{LATIN_1}"}, {"name": LATIN_1}, {"license": LATIN_1}])
def test_names_that_no_card_can_hold_are_told_before_training(option: dict[str, str]) -> None:
    options = TrainOptions(**{"data": "digits", "name": "x", **option})  # type: ignore[arg-type]
    with pytest.raises(DrawwellError, match="is not UTF-8, so the card of the generator cannot hold it"):
        resolve(options)


@pytest.mark.parametrize(
    "classes",
    [np.array("ab"), np.array([["a"], ["b"]]), np.array(["a", "a"]), np.array(["a", " "]), np.array([b"\xff", b"b"])],
    ids=["one", "table", "twice", "empty", "bytes"],
)
def test_names_in_an_array_file_that_are_none_are_a_sentence(tmp_path: Path, classes: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 28, 28), np.uint8), y=np.array([0, 1]), classes=classes)
    with pytest.raises(DataError, match=r"x.npz: its classes (must be|are not) "):
        load(str(tmp_path / "x.npz"))


def test_data_takes_the_numbers_that_a_run_gave_to_its_classes() -> None:
    data = ImageData(np.zeros((3, 28, 28, 1), np.uint8), np.array([0, 1, 2]), ("0", "2", "10"))
    turned = numbered_as(data, ("0", "10", "2", "3"))
    assert turned is not None and labels_of(turned) == [0, 2, 1] and turned.class_names == ("0", "10", "2", "3")
    spaced = numbered_as(data, (" 0", "10", " 2"))
    assert spaced is not None and labels_of(spaced) == [0, 2, 1] and spaced.class_names == (" 0", "10", " 2")
    words = numbered_as(data, tuple("abcdefghijkl"))
    assert words is not None and labels_of(words) == [0, 2, 10]
    assert numbered_as(data, ("0", "2")) is None
    assert numbered_as(data, ("a", "b")) is None
    assert numbered_as(ImageData(data.images), ("0", "2")) is None


def test_a_run_that_numbered_its_classes_otherwise_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """As runs of folders 0 to 11 did: by alphabet."""
    folder = pictures(tmp_path / "data", *NUMBERED)
    by_alphabet = numbered_as(load(str(folder), 28), sorted(map(str, range(12))))
    assert by_alphabet is not None
    steps = {"straight": 4, "stopped": 2}
    for name, count in steps.items():
        given = TrainOptions(
            str(folder), tmp_path / name, size=28, conditional=True, width=4, batch_size=8, steps=count
        )
        run = Run(tmp_path / name)
        with run.locked():
            train(resolved_for(given, by_alphabet), by_alphabet, run, lambda _: None, lambda _: None)
    options = ["--size", "28", "--conditional", "--width", "4", "--batch-size", "8", "--steps", "4", "--threads", "1"]
    said = drawwell("train", str(folder), "--out", str(tmp_path / "stopped"), *options).stderr
    assert "at step 2" in said
    one, other = (states.digest(checkpoint.find(tmp_path / name, None)[0].tensors) for name in steps)
    assert one == other
    pictures(tmp_path / "other", "a/1.png", "b/1.png")
    refused = drawwell("train", str(tmp_path / "other"), "--out", str(tmp_path / "stopped"), *options, code=1).stderr
    assert "its classes were '0', '1', '10', '11', '2'" in refused and "are 'a', 'b'" in refused
