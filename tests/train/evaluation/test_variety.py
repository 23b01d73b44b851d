"""Variety within classes: by hand, beside a second implementation, and where it must see what recall of all images does not."""

import numpy as np
import numpy.typing as npt
import pytest

from drawwell_train.evaluation.manifold import NEIGHBOURS, overlap
from drawwell_train.evaluation.variety import Labelled, class_recall

NAMES = ("a", "b")
COUNT = 100


def line(first: float, step: float) -> npt.NDArray[np.float32]:
    """``COUNT`` features of one dimension, evenly spaced."""
    return (first + step * np.arange(COUNT, dtype=np.float32))[:, None]


def labelled(*classes: npt.NDArray[np.float32]) -> Labelled:
    """The classes' features one after the other."""
    return np.concatenate(classes), np.arange(len(classes)).repeat([len(one) for one in classes])


REAL = labelled(line(0, 1), line(1000, 1))


def test_a_class_of_which_one_half_is_drawn_by_hand() -> None:
    """Drawn ones lie at 0, 0.5, ..., 49.5; the fifth neighbour of the last is 2.5 away, so it reaches the real ones up to 52."""
    found = class_recall(REAL, labelled(line(0, 0.5), line(1000, 1)), REAL, NAMES)
    classes = found.by_class["class_recall"]
    assert (classes["a"].value, classes["b"].value) == (0.53, 1.0)
    assert (found.measures["class_recall"].value, found.measures["class_recall"].real) == (0.765, 1.0)
    assert (classes["a"].images, found.measures["class_recall"].images) == (100, 200)
    assert not found.remarks


def test_images_of_the_wrong_label_are_no_variety() -> None:
    """Where each class is drawn as the other, recall of all images is whole."""
    swapped = labelled(line(1000, 1), line(0, 1))
    assert overlap(REAL[0], swapped[0]).recall == 1
    assert class_recall(REAL, swapped, REAL, NAMES).measures["class_recall"].value == 0


def by_brute_force(real: npt.NDArray[np.float32], drawn: npt.NDArray[np.float32]) -> float:
    """Equation 2 of Kynkaanniemi et al., point by point."""
    covered = 0
    for one in real:
        for other in drawn:
            reach = sorted(np.linalg.norm(drawn - other, axis=1))[NEIGHBOURS]
            if np.linalg.norm(one - other) <= reach:
                covered += 1
                break
    return covered / len(real)


def test_it_is_the_mean_of_a_second_implementation_over_classes_of_equally_many_images() -> None:
    chance = np.random.default_rng(0)
    real, drawn, floor = (
        labelled(*(chance.normal(shift, 1, (count, 3)).astype(np.float32) for count in counts))
        for shift, counts in ((0.0, (60, 70)), (0.8, (80, 55)), (0.0, (60, 60)))
    )
    found = class_recall(real, drawn, floor, NAMES)
    by_hand = [
        by_brute_force(real[0][real[1] == label][:count], drawn[0][drawn[1] == label][:count])
        for label, count in enumerate((60, 55))
    ]
    assert [one.value for one in found.by_class["class_recall"].values()] == by_hand
    assert found.measures["class_recall"].value == pytest.approx(np.mean(by_hand))
    assert 0.1 < min(by_hand) < max(by_hand) < 1


def test_classes_of_few_images_are_left_out_and_remarked_upon() -> None:
    few = labelled(line(0, 1), line(1000, 1)[:49])
    found = class_recall(REAL, few, REAL, NAMES)
    assert set(found.by_class["class_recall"]) == {"a"}
    assert found.remarks == ("variety within 1 of 2 classes is not measured: it needs 50 images of a class",)
    none = class_recall(REAL, labelled(line(0, 1)[:9], line(9, 1)[:9]), REAL, NAMES)
    assert not none.measures
    assert none.remarks == ("variety within any class is not measured: it needs 50 images of a class",)
