"""What the commands of the page do to a training."""

import json
import math
from dataclasses import asdict
from typing import Any

import pytest

from drawwell.errors import RequestError
from drawwell_train.play.commands import read_command
from drawwell_train.play.frames import frame
from drawwell_train.play.options import PlayOptions
from drawwell_train.play.session import Session


def told(session: Session) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(frame(session))
    return loaded


def obey(session: Session, do: str, **more: object) -> dict[str, Any]:
    session.obey(read_command({"do": do, **more}))
    return told(session)


def options(**changed: object) -> dict[str, object]:
    return asdict(PlayOptions()) | changed


def test_start_pause_one_step_and_reset() -> None:
    session = Session()
    first = told(session)
    assert (first["running"], first["step"]) == (False, 0)
    assert obey(session, "start")["running"]
    session.advance()
    after = obey(session, "step")
    assert (after["running"], after["step"]) == (False, 2)
    assert obey(session, "start")["running"]
    assert not obey(session, "pause")["running"]
    assert obey(session, "reset") == first


def test_a_rate_changes_while_the_training_runs_and_other_data_begins_anew() -> None:
    session = Session()
    obey(session, "start")
    for _ in range(10):
        session.advance()
    changed = obey(session, "options", options=options(rate_g=0.01, loss="hinge"))
    assert (changed["step"], changed["running"], changed["options"]["loss"]) == (10, True, "hinge")
    anew = obey(session, "options", options=options(data="grid"))
    assert (anew["step"], anew["running"], anew["options"]["data"]) == (0, True, "grid")
    assert anew["numbers"]["all_modes"] == 25


def test_an_option_that_is_changed_by_hand_ends_a_lesson() -> None:
    session = Session()
    lesson = obey(session, "lesson", lesson="weak")
    assert (lesson["running"], lesson["ended"], lesson["lesson"]) == (True, False, "A D that is too weak")
    assert "D hardly learns" in lesson["sentence"]
    changed = obey(session, "options", options=lesson["options"] | {"rate_d": 0.01})
    assert (changed["lesson"], changed["sentence"], changed["running"]) == (None, "", True)


def test_every_loss_has_the_curves_that_mean_something() -> None:
    session = Session()
    for loss, value, bounded in (("minimax", "Value V(D, G)", True), ("wasserstein", "Minus D's loss", False)):
        obey(session, "options", options=options(loss=loss))
        for _ in range(20):
            session.advance()
        curves = told(session)["curves"]
        assert curves.count("<svg") == curves.count("<h3>") == 6
        assert f"<h3>{value}" in curves
        assert ("bound from D" in curves) == bounded
    assert told(session)["curves"].count("<polyline") == 9
    obey(session, "options", options=options(data="product"))
    assert told(session)["curves"].count("<h3>") == 3


def test_a_lesson_that_shows_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    obey(session, "lesson", lesson="oscillation")
    object.__setattr__(session.lesson, "most_steps", 20)
    monkeypatch.setattr(session, "lesson", session.lesson)
    for _ in range(20):
        session.advance()
    assert told(session)["sentence"] == "This was not seen within 20 steps."
    assert not session.running
    assert not session.ended


def test_a_long_training_keeps_a_bounded_history_and_its_last_line() -> None:
    session = Session()
    obey(session, "options", options=options(data="product", rate_d=1e-5, rate_g=1e-5))
    for _ in range(5000):
        session.advance()
    assert 250 < len(session.lines) <= 600
    assert session.lines[-1].step > 4980
    assert len(told(session)["curves"]) < 100_000


def test_a_game_that_is_over_stops_and_says_so() -> None:
    session = Session()
    obey(session, "options", options=options(data="product", rate_d=1, rate_g=1))
    obey(session, "start")
    while session.running:
        session.advance()
    over = told(session)
    assert over["sentence"].startswith("x and y left the picture")
    assert not obey(session, "start")["running"]
    assert obey(session, "step")["step"] == over["step"]


def test_what_is_not_finite_is_null_and_draws_nothing() -> None:
    session = Session()
    generator = session._game._state.generator  # type: ignore[attr-defined]
    for weights in generator.parameters():
        weights.data.fill_(math.nan)
    shown = told(session)
    assert shown["plot"]["drawn"] == []
    assert shown["numbers"]["value"] is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "a command is"),
        ({"do": "fly"}, "with one of start, pause"),
        ({"do": ["start"]}, "with one of start, pause"),
        ({"do": "start", "options": {}}, "the command start comes with nothing else"),
        ({"do": "options"}, "the command options comes with options"),
        ({"do": "options", "options": 3}, "options must be an object"),
        ({"do": "lesson", "lesson": "x"}, "there is no lesson 'x'; the lessons are vanishing, "),
        ({"do": "pace", "pace": 7}, "pace must be one of 60, 20, 5 steps a second, or null, not 7"),
    ],
)
def test_bad_commands_are_sentences(given: object, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        read_command(given)
