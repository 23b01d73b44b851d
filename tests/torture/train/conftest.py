"""What the faults are thrown at: short trainings on real digits, and the hash of one that nothing disturbed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drawwell_train.data import dataset as data

from .trainer import Training, digest, prepared

STEPS = 12
"""Six checkpoints, every second step."""
OPTIONS = ["--width", "4", "--latent-dim", "16", "--batch-size", "8", "--threads", "1", "--precision", "float32"]
OPTIONS += ["--log-every", "1", "--sample-every", "3", "--save-every", "2", "--steps", str(STEPS)]

Prepare = Callable[..., Training]
Train = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 real digits in a file that is read in no time."""
    file = tmp_path_factory.mktemp("digits") / "digits.npy"
    np.save(file, data.load("digits").images[::10])
    return file


@pytest.fixture(scope="session")
def prepare(digits: Path) -> Prepare:
    """A process that will train, or continue, the run when it is told to."""

    def start(run: Path, *options: str, **limits: Any) -> Training:
        arguments = ["train", str(digits), "--out", str(run), *OPTIONS, *options]
        return prepared(arguments, **limits)

    return start


@pytest.fixture(scope="session")
def train(prepare: Prepare) -> Train:
    """Train, or continue, the run: the exit code and what was said."""

    def to_its_end(run: Path, *options: str, **limits: Any) -> tuple[int, str]:
        training = prepare(run, *options, **limits)
        training.begin()
        return training.end()

    return to_its_end


@pytest.fixture(scope="session")
def undisturbed(train: Train, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of all tensors after ``STEPS`` steps at once."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert train(run)[0] == 0
    return digest(run)
