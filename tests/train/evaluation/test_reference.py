"""The real images: what was learned from, what was not, and what cannot be compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drawwell.errors import DrawwellError
from drawwell_train.data import dataset as data
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.extractors import Extractor
from drawwell_train.evaluation.reference import Reference, Sources, read_reference
from drawwell_train.evaluation.source import Source, open_source
from drawwell_train.evaluation.stacks import read_stacks
from drawwell_train.step.batches import Batches, held_out_rows
from tests.train.configs import configured
from tests.train.evaluation import makers

GREY = makers.constant((28, 28, 1))


@pytest.fixture(scope="module")
def cheap() -> Extractor:
    return makers.projection()


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory, digits: ImageData) -> Path:
    """Digits as files: 99, 120, half of them from the last to the first, 120 of 14 pixels, and 120 in colour."""
    folder, some = tmp_path_factory.mktemp("arrays"), digits.images[::40]
    np.save(folder / "few.npy", some[:99])
    np.save(folder / "some.npy", some[:120])
    np.save(folder / "turned.npy", digits.images[::-2])
    np.save(folder / "small.npy", some[:120, ::2, ::2])
    np.save(folder / "colour.npy", np.repeat(some[:120], 3, axis=3))
    return folder


def sets(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("seed", [0, 5])
def test_what_a_run_holds_out_are_exactly_the_rows_held_out(digits: ImageData, seed: int) -> None:
    config = configured(batch_size=50, seed=seed)
    batches, rows = Batches(digits, config, torch.device("cpu"), 0), held_out_rows(5000, seed).numpy()
    assert len(rows) == 250
    drawn = torch.cat([batches.next().images for _ in range(95)])  # an epoch of the other 4,750
    seen, held_out = (((images + 1) * 127.5).round().byte().numpy() for images in (drawn, batches.held_out().images))
    assert sets(held_out) == sets(digits.images[rows])
    assert sets(seen) == sets(np.delete(digits.images, rows, axis=0))
    assert sets(held_out).isdisjoint(sets(seen))


def test_a_run_is_compared_with_halves_of_what_it_learned_and_its_held_out_images_are_unseen(
    tiny_run: Path, digits: ImageData, cheap: Extractor
) -> None:
    found = read_reference(Sources("digits"), open_source(str(tiny_run)), cheap)
    assert found.unseen is not None
    assert sets(found.unseen) == sets(digits.images[held_out_rows(5000, 0).numpy()])
    assert len(found.learned) == 4750
    assert sets(found.learned).isdisjoint(sets(found.unseen))
    assert sets(found.compared.images) | sets(found.floor.images) == sets(found.learned)
    assert found.count == len(found.compared.images) == len(found.floor.images) == 2375
    assert found.features.shape == found.floor_features.shape == (2375, makers.DIMENSIONS)


def test_with_a_test_set_all_that_was_learned_is_compared_with(tiny_run: Path, arrays: Path, cheap: Extractor) -> None:
    found = read_reference(Sources("digits", str(arrays / "some.npy")), open_source(str(tiny_run)), cheap)
    assert len(found.compared.images) == len(found.learned) == 4750
    assert found.unseen is not None
    assert sets(found.unseen) == sets(found.floor.images)
    assert found.count == 120
    assert found.names == ("120 images of digits", "120 images of some.npy")


def test_unseen_images_are_of_all_classes_where_the_test_set_is_sorted(
    arrays: Path, digits: ImageData, cheap: Extractor
) -> None:
    found = read_reference(Sources(str(arrays / "some.npy"), "digits"), GREY, cheap)
    assert digits.labels is not None
    assert found.unseen is not None
    label_of = {image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)}
    assert {label_of[image.tobytes()] for image in found.unseen} == set(range(10))


def test_of_other_data_than_the_runs_nothing_was_held_out(tiny_run: Path, arrays: Path, cheap: Extractor) -> None:
    found = read_reference(Sources(str(arrays / "turned.npy")), open_source(str(tiny_run)), cheap)
    assert found.unseen is None
    assert found.remarks == ("the run was trained on other images than --data",)
    assert len(found.learned) == 2500
    bare = read_reference(Sources("digits"), GREY, cheap)
    assert bare.unseen is None
    assert len(bare.learned) == 5000


def test_the_same_images_are_taken_every_time(digits: ImageData, cheap: Extractor) -> None:
    one, other = (read_reference(Sources("digits", count=100), GREY, cheap) for _ in range(2))
    assert one.features.tolist() == other.features.tolist()
    assert len(one.features) == 100
    assert not np.array_equal(one.floor_features, one.features)
    assert sets(one.some_floor.images) <= sets(digits.images)


def test_stacks_come_by_26_000_unless_told() -> None:
    source = makers.constant((28, 28, 3))
    assert read_stacks(Sources("digits"), source).count == 26_000
    found = read_stacks(Sources("digits", count=150), source)
    assert (found.count, found.names) == (150, ("digits", "digits"))


def stacks_refusal(sources: Sources, source: Source) -> str:
    with pytest.raises(DrawwellError) as told:
        read_stacks(sources, source)
    return str(told.value)


def refusal(sources: Sources, source: Source = GREY) -> str:
    with pytest.raises(DrawwellError) as told:
        read_reference(sources, source, makers.projection())
    return str(told.value)


def test_too_few_images_are_a_sentence_that_says_how_many_it_takes(arrays: Path) -> None:
    few, some = str(arrays / "few.npy"), str(arrays / "some.npy")
    assert refusal(Sources(few)) == f"{few}: 99 images are too few to measure with: at least 100 are needed"
    assert refusal(Sources(some, few)) == f"{few}: 99 images are too few to measure with: at least 100 are needed"
    assert (
        refusal(Sources("digits", count=99))
        == "99 images of each kind are too few to measure with: at least 100 are needed"
    )
    assert "60 images of each kind are too few" in refusal(Sources(some))  # a half
    assert "50 images of each kind are too few" in stacks_refusal(
        Sources("digits", count=50), makers.constant((28, 28, 3))
    )


@pytest.mark.parametrize(("name", "theirs"), [("small", "14x14x1"), ("colour", "28x28x3")])
def test_another_size_or_colour_is_a_sentence_and_can_be_converted(
    arrays: Path, name: str, theirs: str, cheap: Extractor
) -> None:
    file = str(arrays / f"{name}.npy")
    expected = f"{file}: holds images of {theirs}, not of 28x28x1; add --resize to convert them as training does"
    assert refusal(Sources(file)) == refusal(Sources("digits", file)) == expected
    found: Reference = read_reference(Sources(file, "digits", resize=True), GREY, cheap)
    assert found.learned.shape == (120, 28, 28, 1)


def test_other_classes_are_a_sentence(arrays: Path) -> None:
    fashion = replace(GREY, class_names=("bag", "coat"))
    assert refusal(Sources("digits"), fashion) == (
        "the generator's classes are 'bag', 'coat', the data's '0', '1', '2', '3', '4', '5', '6', '7', '8', '9': "
        "measure with data of the same classes"
    )
    assert refusal(Sources("digits"), replace(GREY, class_names=tuple("12345"))).endswith(
        "measure with data of the same classes"
    )
    unlabelled = refusal(Sources(str(arrays / "some.npy")), fashion)
    assert unlabelled.startswith("the generator's classes are 'bag', 'coat', the data's none (the file has no labels")
    named = replace(GREY, class_names=tuple("0123456789"))
    assert "the data's none" in refusal(Sources("digits", str(arrays / "some.npy")), named)


def test_the_data_takes_the_labels_of_the_generators_classes(cheap: Extractor, digits: ImageData) -> None:
    """A generator may have numbered them in another order than the data is numbered today."""
    turned = replace(GREY, class_names=tuple("1023456789"))
    found = read_reference(Sources("digits"), turned, cheap)
    assert digits.labels is not None and found.compared.labels is not None and found.floor.labels is not None
    theirs = np.bincount(np.concatenate([found.compared.labels, found.floor.labels]))
    np.testing.assert_array_equal(theirs, np.bincount(digits.labels)[[1, 0, 2, 3, 4, 5, 6, 7, 8, 9]])
    assert found.compared.class_names == turned.class_names


def test_numbers_for_names_are_taken_in_their_order_with_a_remark(cheap: Extractor) -> None:
    named = replace(GREY, class_names=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"))
    assert (
        "matched with the generator's classes in their order"
        in read_reference(Sources("digits"), named, cheap).remarks[0]
    )
    assert not read_reference(Sources("digits"), replace(GREY, class_names=tuple("0123456789")), cheap).remarks


def test_stacks_of_what_cannot_be_stacked_are_sentences(arrays: Path) -> None:
    assert (
        stacks_refusal(Sources("digits"), GREY)
        == "--stacked needs a generator of images with 3 colours; this one draws 1"
    )
    some = Sources(str(arrays / "some.npy"))
    assert (
        stacks_refusal(some, makers.constant((28, 28, 3)))
        == "--stacked needs digits as its data: grey images of ten classes"
    )


def test_data_is_not_converted_unasked(arrays: Path, tmp_path: Path, digits: ImageData) -> None:
    file = str(arrays / "small.npy")
    with pytest.raises(DataError, match=r"holds images of 14x14x1, not of 28x28x1; add --resize"):
        data.load(file, 28, 1, convert=False)
    with pytest.raises(DataError, match="14x14x1, not of 28x28x1"):
        data.load(file, 28, convert=False)
    assert data.load(file, 28, 1).images.shape == (120, 28, 28, 1)
    assert data.load(str(arrays / "some.npy"), 28, 1, convert=False).images.shape == (120, 28, 28, 1)
    pictures = makers.folder(tmp_path, digits.images[:4, ::2, ::2], ["a", "a", "b", "b"])
    fitted = data.load(str(pictures), 28, 3, convert=False)  # a folder's pictures have no size of their own
    assert fitted.images.shape == (4, 28, 28, 3)
