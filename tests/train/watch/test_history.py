"""The lines of a run are read once, and those that are added later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drawwell_train.monitor.conditions import NAN, OSCILLATION, Watch
from drawwell_train.run.run_files import STATS
from drawwell_train.watch.bands import CONDITIONS, Bands
from drawwell_train.watch.history import History
from drawwell_train.watch.panels import PANELS
from drawwell_train.watch.row import NUMBERS
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
        assert history.last is not None and history.last.step == 200
    append(run, text[-1:])
    assert history.update() and not history.update()
    assert history.last is not None and history.last.step == 250
    assert history.damaged is None


def test_a_long_run_keeps_every_spike_and_every_change(tmp_path: Path) -> None:
    kids = {step: 0.1 + step / 1e6 for step in range(2, 9001, 2)} | {4322: 0.001, 9000: 0.5}
    rows = [
        line(step, (OSCILLATION,) if 7001 <= step < 7003 else (), **({"kid": kids[step]} if step in kids else {}))
        for step in range(1, 9001)
    ]
    rows[5432]["loss_d"], rows[7654]["loss_d"] = 77.0, -5.0
    history = read(write_run(tmp_path, rows))
    losses, kept = history.curves["loss_d"].points(), history.curves["kid"].points()
    assert 400 <= len(losses) <= 802 and losses == sorted(losses)
    assert {(5433, 77.0), (7655, -5.0)} <= set(losses)
    assert (losses[0][0], losses[-1]) == (1, (9000, rows[-1]["loss_d"]))
    assert len(kept) <= 802
    assert (min(kept, key=lambda point: point[1]), kept[-1]) == ((4322, 0.001), (9000, 0.5))
    assert [(one.step, one.began, one.ended) for one in history.changes] == [
        (7001, (OSCILLATION,), ()),
        (7003, (), (OSCILLATION,)),
    ]


def test_added_lines_are_kept_as_if_they_were_read_at_once(tmp_path: Path) -> None:
    rows = lines(5000, every=1)
    run = write_run(tmp_path, rows[:1])
    history = read(run)
    for row in rows[1:]:
        append(run, json.dumps(row) + "\n")
        if row["step"] % 37 == 0:
            history.update()
    history.update()
    for name in ("loss_d", "kid", "swing"):
        points, whole = history.curves[name].points(), [(row["step"], row[name]) for row in rows if name in row]
        assert set(points) <= set(whole) and points[-1] == whole[-1]
        for choose in (min, max):
            assert choose(value for _, value in points) == choose(value for _, value in whole)


def test_every_number_of_a_panel_is_read() -> None:
    assert {name for panel in PANELS for name in panel.names} | {"swing"} == set(NUMBERS)


def test_bands_of_a_run_that_changes_all_the_time_are_joined_where_nobody_sees_it() -> None:
    bands = Bands()
    for step in range(0, 2_000_000, 200):
        bands.change(step, CONDITIONS[:1])
        bands.change(step + 100, [])
    bands.change(2_000_000, [CONDITIONS[0], "another"])
    shown = bands.until(2_000_500)
    assert len(shown) < 600
    assert (shown[0].first, max(band.last for band in shown)) == (0, 2_000_500)
    assert all(band.first < band.last for band in shown)


@pytest.mark.slow
def test_a_million_lines_are_read_in_little_memory(tmp_path: Path) -> None:
    run, count = write_run(tmp_path, []), 1_000_000
    numbers = {name: 0.5 for name in line(1) if name not in ("step", "images", "conditions")}
    rest = json.dumps(numbers | {"conditions": []}).removeprefix("{")
    with (run / STATS).open("w") as stream:
        stream.writelines(f'{{"step": {step}, "images": {64 * step}, {rest}\n' for step in range(1, count))
        stream.write(json.dumps(line(count, loss_d=9.0)) + "\n")
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom drawwell_train.watch import pages\n"
        "from drawwell_train.watch.found_runs import FoundRuns\n"
        "(run,) = FoundRuns(Path(sys.argv[1])).all()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "page = pages.run_page([run.snapshot()], {})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(page), run.snapshot().last.loss_d)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True, check=True)
    kibibytes, characters, last = map(float, done.stdout.split())
    assert kibibytes < 50_000 < (run / STATS).stat().st_size / 1024
    assert characters < 400_000 and last == 9.0


def test_the_file_that_a_resumed_run_writes_anew_is_read_anew(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(400))
    history = read(run)
    (run / "new").write_text("".join(json.dumps(row) + "\n" for row in lines(400)[:3]))
    (run / "new").replace(run / STATS)
    assert history.update()
    assert [step for step, _ in history.curves["loss_d"].points()] == [50, 100, 150]
    (run / STATS).unlink()
    assert history.update() and history.last is None


def test_a_run_that_is_trained_anew_in_the_same_file_is_read_anew(tmp_path: Path) -> None:
    run = write_run(tmp_path, lines(400))
    history, inode = read(run), (run / STATS).stat().st_ino
    other = [row | {"images_per_second": 7.0} for row in lines(600)]
    (run / STATS).write_text("".join(json.dumps(row) + "\n" for row in other))
    assert (run / STATS).stat().st_ino == inode
    assert history.update()
    assert [step for step, _ in history.curves["loss_d"].points()] == [row["step"] for row in other]
    assert {value for _, value in history.curves["images_per_second"].points()} == {7.0}


def test_a_file_that_could_not_be_read_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path, lines(400))
    history = History(run / STATS)
    with monkeypatch.context() as patch:
        patch.setattr("drawwell_train.watch.history.open_to_read", _refuse)
        with pytest.raises(OSError, match="no more files"):
            history.update()
    assert history.update() and history.last is not None


def _refuse(file: Path) -> None:
    raise OSError(f"no more files: {file}")


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
        '{"step": 1, "conditions": 5}\n',
        '{"step": 1, "kid": [0.1]}\n',
        "{" * 3_000_000 + "\n",
    ],
)
def test_damaged_lines_are_left_out_and_counted(tmp_path: Path, damage: str) -> None:
    run = write_run(tmp_path, lines(200))
    append(run, damage)
    append(run, json.dumps(line(250)) + "\n")
    history = read(run)
    assert [step for step, _ in history.curves["loss_d"].points()] == [50, 100, 150, 200, 250]
    assert history.damaged == 5
    assert history.last is not None and history.last.step == 250


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
