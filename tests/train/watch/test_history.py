"""The lines of a run are read once, and those that are added later."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from drawwell_train.monitor.conditions import NAN, OSCILLATION, Watch
from drawwell_train.run.run_files import STATS
from drawwell_train.watch.history import History
from tests.train.watch.written import append, line, lines, write_run


def read(run: Path) -> History:
    history = History(run / STATS)
    history.update()
    return history


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(200))
    history = read(run)
    text = json.dumps(line(250)) + "\n"
    for part in (text[:20], text[20:-1]):
        append(run, part)
        assert history.update()
        assert history.last is not None and history.last["step"] == 200
    append(run, text[-1:])
    assert history.update() and not history.update()
    assert history.last is not None and history.last["step"] == 250
    assert history.damaged is None


def test_a_long_run_keeps_evenly_spaced_lines_and_every_rare_one(tmp_path: Path) -> None:
    rows = [
        line(step, (OSCILLATION,) if 7001 <= step < 7003 else (), **({"kid": 0.1} if step == 4321 else {}))
        for step in range(1, 9001)
    ]
    history = read(write_run(tmp_path, rows))
    steps = [one["step"] for one in history.thinned.lines]
    assert 500 <= len(steps) <= 1000
    assert {after - before for before, after in pairwise(steps)} == {history.thinned.stride}
    assert [one["step"] for one in history.kids.lines] == [4321]
    assert [(one.step, one.began, one.ended) for one in history.changes] == [
        (7001, (OSCILLATION,), ()),
        (7003, (), (OSCILLATION,)),
    ]
    assert history.last == rows[-1]


def test_the_file_that_a_resumed_run_writes_anew_is_read_anew(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(400))
    history = read(run)
    (run / "new").write_text("".join(json.dumps(row) + "\n" for row in lines(400)[:3]))
    (run / "new").replace(run / STATS)
    assert history.update()
    assert [one["step"] for one in history.thinned.lines] == [50, 100, 150]
    (run / STATS).unlink()
    assert history.update() and history.last is None


@pytest.mark.parametrize(
    "damage",
    [
        "{\n",
        "\n",
        '{"step": -1}\n',
        '{"step": "1"}\n',
        '{"step": 1, "loss_d": 1e300}\n',
        "x" * 200_000 + "\n",
        "\x00\xff\n",
    ],
)
def test_damaged_lines_are_left_out_and_counted(tmp_path: Path, damage: str) -> None:
    run = write_run(tmp_path, lines(200))
    append(run, damage)
    append(run, json.dumps(line(250)) + "\n")
    history = read(run)
    assert [one["step"] for one in history.thinned.lines] == [50, 100, 150, 200, 250]
    assert history.damaged == 5
    assert history.last is not None and history.last["step"] == 250


def test_sentences_are_those_that_training_said(tmp_path: Path) -> None:
    said, rows, judge = [], [], Watch("non-saturating")
    for row in (line(step, swing=0.25 if 400 <= step < 800 else 0.02) for step in range(20, 1201, 20)):
        said += judge.look(row)
        rows.append(row | {"conditions": list(judge.active)})
    assert len(said) == 2
    history = read(write_run(tmp_path, rows))
    assert [f"step {one.step:,}: {sentence}" for one in history.changes for sentence in one.sentences] == said


def test_nan_and_conditions_of_other_versions_have_a_sentence(tmp_path: Path) -> None:
    rows = [line(50), line(100, ("<i>odd</i>",)), {"step": 130, "conditions": [NAN]}]
    odd, nan = read(write_run(tmp_path, rows)).changes
    assert odd.sentences == ("<i>odd</i> begins",)
    assert nan.sentences[0].startswith("NaN: a loss, a weight or a measure became NaN or infinite")
    assert "--learning-rate" in nan.sentences[0]
