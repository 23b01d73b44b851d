"""A measurement that is cut leaves what it has measured; a short one leaves the long one as it was."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest

from benchmarks import gpu, serving, train
from benchmarks.client import Stretch
from benchmarks.report import Report, spread
from drawwell_train.presets import PresetName

EXPECTED = [("steps", "a"), ("steps", "b"), ("last",)]


def contents(results: Path) -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text()) for file in results.iterdir()}


def test_after_each_figure_the_file_has_it_and_says_what_is_missing(results: Path) -> None:
    report = Report("x", EXPECTED, torch="2")
    report.add("steps", "a", figure={"median": 1})
    report.add("steps", "b", figure=2, whole=False)
    (name, content), *others = contents(results).items()
    assert (name, others) == ("x-partial", [])
    assert (content["complete"], content["missing"]) == (False, ["steps, b", "last"])
    assert (content["steps"], content["torch"], content["short"]) == ({"a": {"median": 1}, "b": 2}, "2", False)
    assert "processor" in content["machine"]


def test_the_whole_file_is_replaced_by_a_whole_and_long_one_alone(results: Path) -> None:
    for value in (1, 2):
        for short in (False, True):
            report = Report("x", EXPECTED, short=short)
            for keys in EXPECTED:
                report.add(*keys, figure=value if not short else 10 * value)
    Report("x", EXPECTED).add("last", figure=3)
    found = contents(results)
    assert {name: (one["complete"], one["short"], one["last"]) for name, one in found.items()} == {
        "x": (True, False, 2),
        "x-short": (True, True, 20),
        "x-partial": (False, False, 3),
    }


def test_a_quick_look_writes_nothing(results: Path) -> None:
    Report("x", [("last",)], quick=True).add("last", figure=1)
    assert not results.exists()


class Cut:
    """Gives a figure a few times, and is then interrupted."""

    def __init__(self, figure: Any, times: int) -> None:
        self.figure, self.left = figure, times

    def __call__(self, *_: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.figure


def run(module: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str, cut: bool) -> None:
    monkeypatch.setattr(sys, "argv", ["x", *arguments])
    if not cut:
        module.main()
        return
    with pytest.raises(KeyboardInterrupt):
        module.main()


def only(results: Path, name: str) -> dict[str, Any]:
    found = contents(results)
    assert list(found) == [name]
    return found[name]


MANY = 1000


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Measured in no time, and interrupted after so many presets."""
    monkeypatch.setattr(train, "measure", lambda *_: 1)
    return lambda times: monkeypatch.setattr(train, "of_preset", Cut(2, times))


def test_training_that_is_cut(results: Path, monkeypatch: pytest.MonkeyPatch, trainings: Callable[[int], None]) -> None:
    trainings(1)
    run(train, monkeypatch, "--device", "cpu", "--rounds", "3", "--threads", "1", cut=True)
    found = only(results, "train-cpu-partial")
    assert found["steps"] == {"32x32x1, 1 threads": 1, "64x64x3, 1 threads": 1}
    assert found["presets"] == {"mlp": 2}
    assert found["missing"][0] == "presets, cnn"


def test_a_training_report_is_whole_at_its_end(
    results: Path, monkeypatch: pytest.MonkeyPatch, trainings: Callable[[int], None]
) -> None:
    trainings(MANY)
    run(train, monkeypatch, "--short", "--threads", "1", cut=False)
    found = only(results, "train-cpu-short")
    assert (found["complete"], found["short"], found["steps"]) == (True, True, {"64x64x3, 1 threads": 1})
    assert list(found["presets"]) == list(get_args(PresetName))


class Nothing:
    def close(self) -> None: ...

    def sleep(self) -> None: ...


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Measured in no time, and interrupted after so many batches."""
    monkeypatch.setattr(gpu, "limits_of", lambda _: {"operations": 1.0, "host_bytes": 1.0})
    monkeypatch.setattr(gpu, "export", lambda *_: Nothing())
    monkeypatch.setattr("onnx.save", lambda *_: None)
    monkeypatch.setattr("drawwell_export.graph.trace", lambda *_: None)
    monkeypatch.setattr(gpu, "checks", lambda *_: {"provider": "cpu"})
    return lambda times: monkeypatch.setattr(gpu, "rates_of", Cut({"cuda": 3.0}, times))


def test_a_device_report_that_is_cut_says_what_is_missing(
    results: Path, monkeypatch: pytest.MonkeyPatch, device: Callable[[int], None]
) -> None:
    device(1)
    run(gpu, monkeypatch, "--device", "cpu", "--sizes", "32", "--batches", "1", "64", cut=True)
    found = only(results, "engine-rehearsal-partial")
    assert found["models"]["32"] == {"checks": {"provider": "cpu"}, "images_a_second": {"1": {"cuda": 3.0}}}
    assert found["missing"] == [
        f"models, 32, {name}" for name in ("images_a_second, 64", "limit_images_a_second", "share_of_the_limit")
    ]


def test_a_device_report_is_whole_at_its_end(
    results: Path, monkeypatch: pytest.MonkeyPatch, device: Callable[[int], None]
) -> None:
    device(MANY)
    run(gpu, monkeypatch, "--device", "cpu", "--sizes", "32", "--batches", "1", "64", cut=False)
    found = only(results, "engine-rehearsal")
    assert (found["complete"], found["short"], found["missing"]) == (True, False, [])
    model = found["models"]["32"]
    assert model["share_of_the_limit"] == pytest.approx(3 / model["limit_images_a_second"])


@contextmanager
def asleep(*_: Any) -> Iterator[Nothing]:
    yield Nothing()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Measured in no time, and interrupted after so many turns."""
    monkeypatch.setattr(serving, "insist_on_wrk", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(serving, "DEPENDENCIES", ("pytest",))
    monkeypatch.setattr(serving, "contenders", lambda *_: {"drawwell": None, "FastAPI": None})
    monkeypatch.setattr(serving, "random", lambda _: None)
    monkeypatch.setattr(serving, "serving", asleep)
    monkeypatch.setattr(serving, "check", lambda *_: None)
    monkeypatch.setattr(serving, "bare_images_a_second", lambda *_: 10.0)
    lone = dict.fromkeys(("quiet_p99_ms", "beside_p99_ms", "piece_ms"), spread([1.0]))
    monkeypatch.setattr(serving, "beside_long", lambda *_: lone)
    monkeypatch.setattr(serving, "first_replies", lambda *_: dict.fromkeys(("drawwell", "empty"), spread([1.0])))
    stretch = dict.fromkeys(serving.CASES, Stretch(5.0, 1.0, 2.0))
    return lambda times: monkeypatch.setattr(serving, "stretches", Cut(stretch, times))


def test_servers_that_are_cut(results: Path, monkeypatch: pytest.MonkeyPatch, servers: Callable[[int], None]) -> None:
    """In the second round: the first one's figures are there."""
    servers(3)
    run(serving, monkeypatch, "--rounds", "2", "--seconds", "1", cut=True)
    found = only(results, "serving-cpu-partial")
    model = found["models"]["dcgan64"]
    assert model["servers"]["FastAPI"]["A"]["against_bare"] == spread([0.5])
    assert found["missing"][0] == "models, dcgan64, bare_images_a_second", "one of two rounds is not the figure"
    assert found["seconds_of_a_stretch"] == 1


def test_servers_to_their_end(results: Path, monkeypatch: pytest.MonkeyPatch, servers: Callable[[int], None]) -> None:
    servers(MANY)
    run(serving, monkeypatch, "--short", cut=False)
    found = only(results, "serving-cpu-short")
    assert (found["complete"], found["short"], list(found["models"])) == (True, True, ["dcgan64"])


def test_a_short_run_of_servers_is_short_where_nothing_else_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--short", "--seconds", "2"])
    plan = serving.plan_of(serving.arguments())
    assert (plan.rounds, plan.seconds, list(plan.sizes), plan.starts) == (1, 2, ["dcgan64"], 1)
