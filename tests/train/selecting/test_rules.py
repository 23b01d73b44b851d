"""The laws of the rules: who passes, which are kept, and that neither depends on how candidates are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from drawwell.errors import RequestError
from drawwell_train.evaluation.classifier import Scores
from drawwell_train.selecting.budgets import read_budgets
from drawwell_train.selecting.rules import DIVERSE_SHARE, MARGIN_NATS, farthest_points, gaps_of, read_criteria
from tests.graphs import card

CLOTHES = card(class_names=("Bag", "T-shirt/top", "A=B"))


def scores(*shares: tuple[float, ...]) -> Scores:
    return Scores(np.log(np.array(shares, np.float32)), np.zeros((len(shares), 1), np.float32))


def test_the_gap_is_to_the_likeliest_other_class() -> None:
    found = gaps_of(scores((0.6, 0.3, 0.1), (0.6, 0.3, 0.1), (0.5, 0.5, 1e-9)), np.array([0, 1, 0]))
    assert found == pytest.approx([np.log(2), -np.log(2), 0], abs=1e-6)


def test_agree_wants_the_class_and_confident_wants_the_margin() -> None:
    gaps = np.array([-1, 0, 0.5, MARGIN_NATS, 1.5], np.float32)
    assert read_criteria("agree", None, None).passing(gaps).tolist() == [False, False, True, True, True]
    assert read_criteria("confident", None, None).passing(gaps).tolist() == [False, False, False, False, True]
    assert read_criteria("confident", 0.2, None).passing(gaps).tolist() == [False, False, True, True, True]


def test_which_of_those_that_pass_are_kept() -> None:
    gaps, features = np.array([3, 9, 5, 7], np.float32), np.array([[0], [1], [2], [50]], np.float32)
    assert read_criteria("agree", None, None).best(gaps, features, 2).tolist() == [0, 1]
    assert read_criteria("confident", None, 0.5).best(gaps, features, 2).tolist() == [1, 3]
    assert 3 in read_criteria("diverse", None, None).best(gaps, features, 2)
    assert read_criteria("diverse", None, None).keep_share == DIVERSE_SHARE


@given(
    features=arrays.arrays(np.int8, st.tuples(st.integers(1, 30), st.integers(1, 3))),
    share=st.floats(0.1, 1),
)
def test_farthest_points_are_distinct_and_cover_the_rest_within_twice_the_best(
    features: np.ndarray, share: float
) -> None:
    """No row is farther from the chosen ones than the closest two of them are apart (Gonzalez 1985)."""
    points, count = features.astype(np.float32), max(1, int(share * len(features)))
    chosen = farthest_points(points, count)
    assert len(set(chosen.tolist())) == count
    between = np.linalg.norm(points[:, None] - points[chosen][None], axis=2)
    apart = np.linalg.norm(points[chosen][:, None] - points[chosen][None], axis=2)[~np.eye(count, dtype=bool)]
    if count > 1:
        assert between.min(1).max() <= apart.min() + 1e-2


@pytest.mark.parametrize(
    ("rule", "margin", "share", "sentence"),
    [
        ("agree", 1.0, None, "--margin is for --rule confident, not for agree"),
        ("agree", None, 0.5, "--keep-share is for --rule confident or diverse"),
        ("confident", -1.0, None, "--margin must be in nats, from 0 to 100, not -1"),
        ("diverse", None, 0.0, "--keep-share must be a share from 0.01 to 1, not 0"),
        ("diverse", None, float("nan"), "--keep-share must be a share"),
    ],
)
def test_thresholds_that_a_rule_cannot_have(
    rule: str, margin: float | None, share: float | None, sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence):
        read_criteria(rule, margin, share)  # type: ignore[arg-type]


def test_a_count_is_shared_out_equally_and_names_have_their_numbers() -> None:
    assert read_budgets(CLOTHES, 8, None).tolist() == [3, 3, 2]
    assert read_budgets(CLOTHES, None, "T-shirt/top=5, A=B=7").tolist() == [0, 5, 7]
    assert read_budgets(CLOTHES, None, "2=1").tolist() == [0, 0, 1], "by index"


@pytest.mark.parametrize(
    ("count", "per_class", "sentence"),
    [
        (None, None, "give --count, the number of images, or --per-class"),
        (3, "Bag=1", "not both"),
        (2, None, "--count must be at least 1 for each of 3 classes, not 2"),
        (None, "Hat=3", "there is no class 'Hat': the classes are 'Bag'"),
        (None, "Bag", "the budgets 'Bag' cannot be read: write them as Sneaker=500,Bag=200"),
        (None, "Bag=0", "wants 0 images of 'Bag': give 1 or more"),
        (None, "Bag=-1", "the budgets 'Bag=-1' cannot be read"),
        (None, "Bag=1,0=2", "names the class '0' twice"),
        (None, "", "the budgets '' cannot be read"),
    ],
)
def test_budgets_that_nobody_can_meet(count: int | None, per_class: str | None, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        read_budgets(CLOTHES, count, per_class)


def test_a_generator_without_classes_has_no_selection() -> None:
    with pytest.raises(RequestError, match="plain has no classes, and a selection keeps images by their class"):
        read_budgets(card(), 10, None)
