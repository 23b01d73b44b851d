"""From addresses to the chosen ones: candidates are drawn in pieces, scored by the gate, and kept class by class."""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from drawwell.errors import DrawwellError
from drawwell.files.card import ModelCard
from drawwell.files.labels import labels_of
from drawwell.generator import Batch, ImageGenerator
from drawwell.pieces import pieces
from drawwell.text import printable
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.run.checkpoint import Say
from drawwell_train.selecting.budgets import Budgets
from drawwell_train.selecting.rules import Criteria, Gaps, gaps_of

IndexArray = npt.NDArray[np.int64]

GROUP_IMAGES = 1000
"""Passing images of a class among which a rule chooses: memory is bounded by it, however many images are asked for."""
_PIECE_IMAGES = 2000
_PROGRESS_LINES = 10


@dataclass(frozen=True)
class Stream:
    """A seed, its first index, the most addresses to look at, and the factor of their latents."""

    seed: int
    start: int
    limit: int
    spread: float = 1.0

    @property
    def addresses(self) -> range:
        """The indices of all candidates."""
        return range(self.start, self.start + self.limit)

    def draw(self, generator: ImageGenerator, indices: IndexArray) -> Batch:
        """Draw the images of these indices. Raises as ``generate`` does."""
        return generator.generate(self.seed, indices=indices, spread=self.spread)


@dataclass(frozen=True)
class Chosen:
    """The chosen indices of a stream, ascending int64 ``[N]``, and what they were chosen from."""

    indices: IndexArray
    candidates: int
    """Addresses that were looked at."""
    scored: LabelArray
    passed: LabelArray
    """Images of each class, int64 ``[classes]``."""


@dataclass
class _OneClass:
    """The images of one class: chosen, or passing and waiting for a full group. Groups do not depend on the pieces of drawing."""

    budget: int
    criteria: Criteria
    chosen: list[IndexArray] = field(default_factory=list)
    indices: IndexArray = field(default_factory=lambda: np.empty(0, np.int64))
    gaps: Gaps = field(default_factory=lambda: np.empty(0, np.float32))
    features: npt.NDArray[np.float32] | None = None
    scored: int = 0
    passed: int = 0

    @property
    def missing(self) -> int:
        """Images that are still to be chosen."""
        return self.budget - sum(map(len, self.chosen))

    def offer(self, indices: IndexArray, gaps: Gaps, features: npt.NDArray[np.float32]) -> None:
        """Take scored images, in the order of their addresses."""
        rows = self.criteria.passing(gaps)
        self.scored += len(rows)
        self.passed += int(rows.sum())
        self.indices = np.concatenate([self.indices, indices[rows]])
        self.gaps = np.concatenate([self.gaps, gaps[rows]])
        before = features[:0] if self.features is None else self.features
        self.features = np.concatenate([before, features[rows]])
        while self.missing and len(self.indices) >= self._group():
            self._choose(self._group())

    def _group(self) -> int:
        return min(GROUP_IMAGES, math.ceil(self.missing / self.criteria.keep_share))

    def _choose(self, group: int) -> None:
        assert self.features is not None, "images were offered"
        count = min(self.missing, math.ceil(group * self.criteria.keep_share))
        best = self.criteria.best(self.gaps[:group], self.features[:group], count)
        self.chosen.append(self.indices[:group][best])
        self.indices, self.gaps, self.features = self.indices[group:], self.gaps[group:], self.features[group:]


def choose(
    generator: ImageGenerator, gate: Classifier, stream: Stream, budgets: Budgets, criteria: Criteria, say: Say
) -> Chosen:
    """Choose images until every budget is met. Only images of classes whose budget is not met yet are drawn.

    Raises ``DrawwellError`` if the candidates do not suffice, with the number of images that came; and whatever drawing raises.
    """
    classes = [_OneClass(int(budget), criteria) for budget in budgets]
    looked_at, wanted, said = 0, int(budgets.sum()), 0
    for addresses in pieces(stream.addresses, _PIECE_IMAGES):
        _score(generator, gate, stream, addresses, classes)
        looked_at += len(addresses)
        missing = sum(one.missing for one in classes)
        if not missing:
            return _chosen(classes, looked_at)
        if (wanted - missing) * _PROGRESS_LINES // wanted > said:
            said = (wanted - missing) * _PROGRESS_LINES // wanted
            say(f"{wanted - missing:,} of {wanted:,} images chosen from {looked_at:,} candidates")
    raise DrawwellError(_too_few(generator.card, classes, looked_at))


def first_of_each_class(card: ModelCard, stream: Stream, budgets: Budgets) -> IndexArray:
    """Return the first addresses of each class, ascending int64 ``[N]``, without any choice. There may be fewer than asked for."""
    found, left = [np.empty(0, np.int64)], budgets.copy()
    for addresses in pieces(stream.addresses, 10 * _PIECE_IMAGES):
        labels = _labels(card, stream.seed, addresses)
        for label in np.flatnonzero(left):
            places = np.flatnonzero(labels == label)[: left[label]]
            left[label] -= len(places)
            found.append(addresses.start + places)
        if not left.any():
            break
    return np.sort(np.concatenate(found))


def _score(
    generator: ImageGenerator, gate: Classifier, stream: Stream, addresses: range, classes: list[_OneClass]
) -> None:
    labels = _labels(generator.card, stream.seed, addresses)
    places = np.flatnonzero(np.array([one.missing > 0 for one in classes])[labels])
    if not len(places):
        return
    indices, labels = addresses.start + places, labels[places]
    scores = gate.scores_of(stream.draw(generator, indices).images)
    gaps = gaps_of(scores, labels)
    for label in np.unique(labels):
        rows = labels == label
        classes[label].offer(indices[rows], gaps[rows], scores.features[rows])


def _labels(card: ModelCard, seed: int, addresses: range) -> LabelArray:
    labels = labels_of(card, seed, addresses)
    assert labels is not None, "budgets are of a generator with classes"
    return labels


def _chosen(classes: list[_OneClass], looked_at: int) -> Chosen:
    indices = np.sort(np.concatenate([indices for one in classes for indices in one.chosen]))
    scored, passed = (np.array([getattr(one, what) for one in classes]) for what in ("scored", "passed"))
    return Chosen(indices, looked_at, scored, passed)


def _too_few(card: ModelCard, classes: list[_OneClass], looked_at: int) -> str:
    named = [
        f"{one.budget - one.missing + min(one.missing, int(len(one.indices) * one.criteria.keep_share)):,} of {one.budget:,} "
        f"of class {printable(name)!r}"
        for name, one in zip(card.class_names, classes, strict=True)
        if one.missing
    ]
    more = f", and fewer than asked for of {len(named) - 5} more classes" if len(named) > 5 else ""
    return (
        f"{looked_at:,} candidates gave too few images: {', '.join(named[:5])}{more}. Nothing was written: "
        "ask for fewer images, or allow more --candidates"
    )
