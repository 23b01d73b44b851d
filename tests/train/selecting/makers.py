"""Generators that draw real digits, right and wrong, and short selections."""

from typing import Any

import numpy as np

from drawwell.addresses.arguments import check_address
from drawwell.addresses.latents import labels as labels_at
from drawwell.generator import Batch, ImageGenerator
from drawwell_train.data.images import ImageData
from tests.graphs import card

DIM = 4


class Copier(ImageGenerator):
    """It draws real images of the label of the address, but of a random class for ``wrong`` of the addresses."""

    def __init__(self, real: ImageData, wrong: float = 0.0) -> None:
        assert real.labels is not None
        height, width, channels = real.images.shape[1:]
        self._card = card(name="copier", height=height, width=width, channels=channels, class_names=real.class_names)
        self._real, self._wrong = real, wrong
        self._places = [np.flatnonzero(real.labels == label) for label in range(len(real.class_names))]
        self.drawn = 0
        self.spreads: set[float] = set()

    @property
    def card(self) -> Any:
        return self._card

    @property
    def digest(self) -> str:
        return "c" * 64

    def generate(
        self,
        seed: int | None = None,
        count: int | None = None,
        start: int = 0,
        *,
        indices: Any = None,
        spread: float = 1.0,
        **others: Any,
    ) -> Batch:
        assert seed is not None and not others
        self.spreads.add(spread)
        seed, chosen = check_address(seed, count, start, indices)
        own = labels_at(seed, chosen, len(self._places), DIM)
        self.drawn += len(own)
        rows = [self._row(seed, int(index), int(label)) for index, label in zip(chosen, own, strict=True)]
        return Batch(self._real.images[rows], own, seed, chosen, self.digest, spread)

    def interpolate(self, *_: Any, **__: Any) -> Batch:
        raise AssertionError("a selection has addresses")

    def close(self) -> None:
        """Nothing is open."""

    def is_wrong(self, seed: int, index: int) -> bool:
        """Whether the image of this address is of a random class."""
        return bool(np.random.default_rng([seed, index]).random() < self._wrong)

    def _row(self, seed: int, index: int, label: int) -> int:
        chance = np.random.default_rng([seed, index])
        if chance.random() < self._wrong:
            label = (label + int(chance.integers(1, len(self._places)))) % len(self._places)
        return int(chance.choice(self._places[label]))
