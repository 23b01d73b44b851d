"""Classifiers that are trained in the same way on real, drawn and mixed images, and are kept in a folder."""

import hashlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from drawwell import atomic_files as files
from drawwell.errors import DrawwellError
from drawwell_train.certify.images import Labelled, Real
from drawwell_train.evaluation.classifier import BATCH_IMAGES, Classifier
from drawwell_train.run.checkpoint import Say

FIRST, SECOND = "CNN of four convolutions", "ConvMixer-96/4"
"""The architecture that chooses the mixing ratio, and one that chooses nothing (Trockman and Kolter 2022)."""
_WIDTH, _DEPTH, _PATCH, _KERNEL = 96, 4, 4, 5


@dataclass(frozen=True)
class Trial:
    """One training. ``share`` is of the real images, 0 for none; ``drawn`` is the share of drawn images in every batch."""

    share: float
    drawn: float
    seed: int
    architecture: str = FIRST

    def __str__(self) -> str:
        real = f"{100 * self.share:g} % of the real images"
        data = {0.0: real, 1.0: "drawn images"}.get(self.drawn, f"{real}, batches with {self.drawn:.0%} drawn")
        return f"{self.architecture}, seed {self.seed}: {data}"


@dataclass(frozen=True)
class Answers:
    """The accuracy of one classifier on all test images, and on each class, float64 ``[classes]``."""

    accuracy: float
    by_class: npt.NDArray[np.float64]


@dataclass
class Trials:
    """Trains classifiers, each with the same number of steps, and keeps them in ``folder``: a killed run goes on there.

    ``protocol`` names the inputs of every classifier, ``drawn_protocol`` the further inputs of classifiers that see drawn images. A
    kept classifier is taken only if they are equal. So certificates of the same real images can share a folder.
    """

    real: Real
    drawn: Labelled
    images_seen: int
    flip: bool
    folder: Path
    protocol: str
    drawn_protocol: str
    say: Say
    planned: int
    kept: int = field(default=0, init=False)
    """Classifiers that were there before."""
    _done: int = field(default=0, init=False)
    _trained: set[str] = field(default_factory=set, init=False)

    def classifier(self, trial: Trial) -> Classifier:
        """Return the classifier of a trial: the kept one, or a new one. Raises ``DrawwellError`` for a damaged file."""
        classifier = self._new(trial)
        self._done += 1
        file = self.folder / f"{self._key(trial)}.pt"
        if file.exists():
            self.kept += file.stem not in self._trained
            self._trained.add(file.stem)
            self.say(f"{self._done} of {self.planned}: kept: {trial}")
            _load(classifier, file)
            return classifier
        self.say(f"{self._done} of {self.planned}: training: {trial}")
        for batch in self._batches(trial, classifier.steps):
            classifier.step(batch.images, batch.labels)
        _keep(classifier, file)
        self._trained.add(file.stem)
        return classifier

    def validated(self, trial: Trial) -> float:
        """Return the accuracy of a trial's classifier on the validation part."""
        return self.classifier(trial).accuracy(self.real.validation.images, self.real.validation.labels)

    def tested(self, trial: Trial) -> Answers:
        """Return the answers of a trial's classifier to the test images."""
        test = self.real.test
        correct = self.classifier(trial).classes_of(test.images) == test.labels
        return Answers(
            float(correct.mean()),
            np.array([correct[test.labels == label].mean() for label in range(len(self.real.class_names))]),
        )

    def _new(self, trial: Trial) -> Classifier:
        channels, classes = self.real.learn.images.shape[-1], len(self.real.class_names)
        network = conv_mixer if trial.architecture == SECOND else None
        return Classifier(channels, classes, trial.seed, self.images_seen, network, self.flip)

    def _key(self, trial: Trial) -> str:
        of_drawn = self.drawn_protocol if trial.drawn else ""
        return hashlib.sha256(f"{self.protocol}\n{of_drawn}\n{trial!r}".encode()).hexdigest()[:16]

    def _batches(self, trial: Trial, steps: int) -> Iterator[Labelled]:
        """Batches with a fixed number of drawn images: the ratio does not depend on how many real images there are."""
        ours = round(trial.drawn * BATCH_IMAGES)
        parts = [(self.drawn, ours, 1)] if ours else []
        if ours < BATCH_IMAGES:
            parts.append((self.real.share(trial.share), BATCH_IMAGES - ours, 0))
        streams = [_stream(images, size, steps, [trial.seed, which]) for images, size, which in parts]
        for batch in zip(*streams, strict=True):
            yield Labelled(*(np.concatenate(columns) for columns in zip(*batch, strict=True)))


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        changed: Tensor = self.inner(images)
        return changed + images


def conv_mixer(channels: int, classes: int) -> nn.Module:
    """Return a small ConvMixer (Trockman and Kolter 2022, section 2), whose blocks mix places and channels in turns."""

    def after(layer: nn.Module) -> nn.Sequential:
        return nn.Sequential(layer, nn.GELU(), nn.BatchNorm2d(_WIDTH))

    blocks = (
        nn.Sequential(
            _Residual(after(nn.Conv2d(_WIDTH, _WIDTH, _KERNEL, padding="same", groups=_WIDTH))),
            after(nn.Conv2d(_WIDTH, _WIDTH, 1)),
        )
        for _ in range(_DEPTH)
    )
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_WIDTH, classes)
    network = nn.Sequential(after(nn.Conv2d(channels, _WIDTH, _PATCH, _PATCH)), *blocks, *head)
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def _stream(
    images: Labelled, size: int, steps: int, seed: list[int]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Batches of ``size``, in a new order in every epoch."""
    chance, order = np.random.default_rng(seed), np.empty(0, np.int64)
    for _ in range(steps):
        while len(order) < size:
            order = np.concatenate([order, chance.permutation(len(images))])
        yield images.images[order[:size]], images.labels[order[:size]]
        order = order[size:]


def _keep(classifier: Classifier, file: Path) -> None:
    content = io.BytesIO()
    torch.save(classifier.weights(), content)
    files.write(file, content.getvalue())


def _load(classifier: Classifier, file: Path) -> None:
    try:
        classifier.load_weights(torch.load(file, weights_only=True))
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise DrawwellError(
            f"{file}: holds no classifier that can be read: remove it, and run the command again"
        ) from error
