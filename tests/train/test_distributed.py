"""Several processes train as one would: the same losses, one set of files, one stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from drawwell.cli import main as cli
from drawwell_train.run import checkpoint
from tests import forked
from tests.conftest import free_port

OPTIONS = ["--width", "8", "--batch-size", "16", "--threads", "1", "--precision", "float32", "--log-every", "1"]
OPTIONS += ["--kid-every", "0"]
RELATIVE = 2e-3
"""Of float32 sums in another order, after Adam has divided by their size for some steps."""


def arguments(run: Path, steps: int, options: Sequence[str] = ()) -> list[str]:
    return ["train", "digits", "--out", str(run), "--steps", str(steps), *OPTIONS, *options]


def alone(run: Path, steps: int, options: Sequence[str] = ()) -> None:
    assert cli.run(arguments(run, steps, options)) == 0


def under_torchrun(run: Path, steps: int, options: Sequence[str] = ()) -> str:
    """As the documentation says it."""
    command = [Path(sys.executable).with_name(name) for name in ("torchrun", "drawwell")]
    torchrun = [str(command[0]), "--nproc-per-node=2", "--master-port", str(free_port()), str(command[1])]
    done = subprocess.run([*torchrun, *arguments(run, steps, options)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


class Member:
    """One of two processes as torchrun starts them, but in our hands."""

    def __init__(self, rank: int, port: int, said: Path, run: list[str]) -> None:
        torchrun = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self._said = said / f"process-{rank}.txt"
        self.process = forked.CONTEXT.Process(target=_train, args=(torchrun, self._said, run), daemon=True)
        self.process.start()

    def ended(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        return forked.exit_code(self.process), self._said.read_text()


def _train(torchrun: dict[str, str], said: Path, run: list[str]) -> None:
    os.environ |= torchrun
    with said.open("w") as file:
        forked.write_to("stderr", file.fileno())
    sys.exit(cli.run(run))


def pair(run: Path, said: Path, steps: int, options: Sequence[str] = ()) -> list[Member]:
    port = free_port()
    return [Member(rank, port, said, arguments(run, steps, options)) for rank in range(2)]


def wait_for(condition: Callable[[], bool], members: Sequence[Member]) -> None:
    deadline = time.monotonic() + 300  # against a hang: a starved machine took a minute for five steps
    while not condition():
        assert all(member.process.is_alive() for member in members), [member.ended() for member in members]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.005)


def stats(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]


def assert_alike(one: Path, other: Path) -> None:
    """The same lines, and weights and batch norm statistics as near to one another."""
    for line, like in zip(stats(one), stats(other), strict=True):
        assert line.pop("images_per_second") > 0 < like.pop("images_per_second")
        assert line.pop("conditions") == like.pop("conditions")
        assert line == pytest.approx(like, rel=RELATIVE, abs=2e-5)
    tensors, likes = (checkpoint.find(run, None)[0].tensors for run in (one, other))
    assert torch.equal(tensors.pop("random.cpu"), likes.pop("random.cpu"))
    for name, tensor in tensors.items():
        error = torch.linalg.vector_norm(tensor.double() - likes[name].double())
        assert error <= 5 * RELATIVE * torch.linalg.vector_norm(likes[name].double()) + 1e-6, name


def test_two_processes_learn_what_one_does_and_one_goes_on(tmp_path: Path) -> None:
    """With batch norm, whose statistics are of the whole batch, and with augmentation."""
    options = ["--diffaugment", "--flip", "--conditional"]
    alone(tmp_path / "one", 8, options)
    said = under_torchrun(tmp_path / "two", 4, options)
    assert "in each of 2 processes" in said
    assert said.count("done: 4 steps") == 1  # only the first speaks
    assert [path.name for path in (tmp_path / "two" / "checkpoints").iterdir()] == ["step-00000004"]
    alone(tmp_path / "two", 8, options)
    assert_alike(tmp_path / "two", tmp_path / "one")


def test_two_processes_go_on_where_one_was(tmp_path: Path) -> None:
    """With the numbers that a gradient penalty draws."""
    options = ["--preset", "wgan-gp", "--pack", "2"]
    alone(tmp_path / "one", 6, options)
    alone(tmp_path / "two", 3, options)
    (code, said), other = (member.ended() for member in pair(tmp_path / "two", tmp_path, 6, options))
    assert code == 0
    assert "at step 3" in said
    assert other == (0, "")
    assert_alike(tmp_path / "two", tmp_path / "one")


def test_a_signal_to_one_stops_all_at_the_same_step(tmp_path: Path) -> None:
    """At once, and not when the next line or checkpoint is due: torchrun kills after 30 s what has not ended."""
    run = tmp_path / "run"
    seldom = ["--save-every", "1000000", "--log-every", "1000000", "--sample-every", "1"]
    members = pair(run, tmp_path, 1_000_000, seldom)
    wait_for(lambda: any((run / "samples").glob("step-*.png")), members)
    os.kill(members[1].process.pid or 0, signal.SIGTERM)
    ends = [member.ended() for member in members]
    step = checkpoint.find(run, None)[0].step
    assert all(code == 130 and f"stopped and saved at step {step:,}" in said for code, said in ends), ends
    assert stats(run)[-1]["step"] == step


def test_two_processes_penalise_as_one_does(tmp_path: Path) -> None:
    """One pass over both kinds of images, groups of four, noise and shifts drawn for the whole batch."""
    options = [
        "--preset",
        "sngan",
        "--minibatch-std",
        "--loss",
        "relativistic",
        "--d-norm",
        "none",
        "--consistency",
        "1",
    ]
    options += ["--r1", "0.1", "--r2", "0.1", "--penalty-form", "finite-difference", "--width", "4"]
    alone(tmp_path / "one", 4, options)
    for member in pair(tmp_path / "two", tmp_path, 4, options):
        code, said = member.ended()
        assert code == 0, said
    assert_alike(tmp_path / "two", tmp_path / "one")


def test_where_one_is_killed_the_other_ends_with_a_sentence(tmp_path: Path) -> None:
    run = tmp_path / "run"
    members = pair(run, tmp_path, 1_000_000, ["--save-every", "5"])
    wait_for(lambda: any((run / "checkpoints").glob("step-*")), members)
    members[1].process.kill()
    code, said = members[0].ended()
    assert code == 1, said
    assert "another process of this training ended" in said
    assert "Traceback" not in said
    step = checkpoint.find(run, None)[0].step
    assert step % 5 == 0
    alone(run, step + 1)


def test_a_batch_that_cannot_be_shared_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert cli.run(arguments(tmp_path / "run", 1)) == 1
    assert "--batch-size 16 cannot be divided between 3 processes: use a multiple of 3" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert cli.run([*arguments(tmp_path / "run", 1), "--pack", "4"]) == 1
    assert "in packs of 4, between 8 processes: use a multiple of 32" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
