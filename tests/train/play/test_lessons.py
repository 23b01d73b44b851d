"""Every lesson ends in its condition, and what it shows is there: the illness beside its cure."""

import math
import re
import time

import pytest

from drawwell_train.monitor.conditions import STRONG, WEAK
from drawwell_train.play.commands import read_command
from drawwell_train.play.lessons import LESSONS, given_up, turning_points
from drawwell_train.play.options import read_options
from drawwell_train.play.session import Session

pytestmark = pytest.mark.slow

MOST_CPU_SECONDS = 60
"""Of one core. A lesson waits for nothing else, so on two cores it is not slower."""


@pytest.fixture(scope="module")
def taught() -> dict[str, Session]:
    """All lessons at their ends."""
    return {name: session_of(name) for name in LESSONS}


def session_of(lesson: str) -> Session:
    session, began = Session(), time.process_time()
    session.obey(read_command({"do": "lesson", "lesson": lesson}))
    while session.running:
        session.advance()
    assert time.process_time() - began < MOST_CPU_SECONDS, "a lesson has 60 seconds"
    return session


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_ends_in_its_condition_with_numbers_that_were_measured(taught: dict[str, Session], name: str) -> None:
    session = taught[name]
    assert session.ended
    assert session.sentence != given_up(LESSONS[name])
    assert str(session.step) in session.sentence
    assert len(re.findall(r"\d", session.sentence)) > 5
    assert "nan" not in session.sentence


def test_the_gradient_vanishes_with_minimax_and_not_with_its_cure(taught: dict[str, Session]) -> None:
    ill, cured = taught["vanishing"].lines, taught["vanishing-cure"].lines
    assert STRONG in ill[-1].conditions
    assert all(line.numbers["gradient_g"] < 1e-3 for line in ill[-5:])
    assert all(line.numbers["gradient_g"] > 1 for line in cured[-5:])
    assert ill[-1].numbers["jsd"] == pytest.approx(math.log(2), abs=0.01)
    assert cured[-1].numbers["jsd"] < 0.55
    assert ill[-1].numbers["near"] < 0.01 < 0.2 < cured[-1].numbers["near"]


def test_the_modes_collapse_and_packing_brings_them_back(taught: dict[str, Session]) -> None:
    ill, cured = taught["collapse"].lines, taught["collapse-cure"].lines
    assert all(line.numbers["modes"] <= 1 for line in ill[-20:])
    assert ill[-1].numbers["near"] > 0.9, "the points are on a mode, not between them"
    assert all(line.numbers["modes"] >= 6 for line in cured[-3:])
    assert cured[-1].numbers["jsd"] < ill[-1].numbers["jsd"] - 0.2


def test_a_high_rate_swings_and_the_default_does_not(taught: dict[str, Session]) -> None:
    session, steady = taught["oscillation"], Session()
    for _ in range(session.step):
        steady.advance()
    swings, none = ([line.numbers["x"] for line in one.lines] for one in (session, steady))
    turns = [max(turning_points([line.numbers[a] for line in session.lines], 0.25) for a in ("x", "y"))]
    assert turns[0] >= 10
    assert max(swings) - min(swings) > 0.5
    assert turning_points(none, 0.25) <= 2


def test_a_high_rate_that_is_lowered_settles() -> None:
    session = session_of("oscillation")
    before = session.lines[-1].numbers["jsd"]
    session.obey(read_command({"do": "options", "options": vars(session.options) | {"rate_g": 0.002}}))
    assert session.lesson is None
    for _ in range(500):
        session.advance()
    assert session.lines[-1].numbers["jsd"] < before - 0.2


def test_a_weak_d_is_a_coin_and_g_goes_nowhere(taught: dict[str, Session]) -> None:
    last = taught["weak"].lines[-1]
    assert WEAK in last.conditions
    assert last.numbers["d_real"] - last.numbers["d_fake"] < 0.01
    assert last.numbers["jsd"] > 0.64


def test_x_and_y_go_round_and_away(taught: dict[str, Session]) -> None:
    lines = taught["product"].lines
    assert lines[-1].numbers["turns"] > 2
    distances = [line.numbers["distance"] for line in lines]
    assert distances == sorted(distances)


def test_the_critic_leads_to_data_that_is_far(taught: dict[str, Session]) -> None:
    lines = taught["wasserstein"].lines
    assert lines[0].numbers["jsd"] == pytest.approx(math.log(2), abs=0.01)
    assert lines[-1].numbers["jsd"] < 0.2
    assert min(line.numbers["gradient_g"] for line in lines[1:]) > 0.05


def test_a_lesson_is_the_same_every_time(taught: dict[str, Session]) -> None:
    again = session_of("oscillation")
    assert again.lines == taught["oscillation"].lines
    assert again.sentence == taught["oscillation"].sentence


def test_the_options_of_every_lesson_can_be_chosen_by_hand() -> None:
    for lesson in LESSONS.values():
        assert read_options(vars(lesson.options)) == lesson.options


@pytest.mark.parametrize(
    ("values", "turns"),
    [([0, 1, 0, 1], 2), ([0, 1, 2, 3], 0), ([0, 0.1, 0, 0.1, 0], 0), ([1, 0, 0.1, 0, 1], 1), ([0.5], 0)],
)
def test_small_turns_do_not_count(values: list[float], turns: int) -> None:
    assert turning_points(values, 0.25) == turns
