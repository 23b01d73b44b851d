"""The arguments of ``generate`` and ``interpolate``, checked against a generator: what is drawn, however it was asked for."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices, Indices, check_address
from drawwell.addresses.latents import address_words, interpolate
from drawwell.addresses.scale import Scale, check_scale
from drawwell.errors import RequestError
from drawwell.files.budgets import LabelBudgets, budget_indices
from drawwell.files.card import ModelCard
from drawwell.files.labels import CheckedLabels, LabelChoice, check_labels, labels_at, labels_of
from drawwell.files.selection import Selection, read_selection
from drawwell.generator import Address, Batch, Images, Latents

_PLAIN = Scale()

Feeds = dict[str, npt.NDArray[Any]]
"""The inputs of a generator, by name."""


def feeds_of(
    z: npt.NDArray[np.float32], label: npt.NDArray[np.int64] | None, member: npt.NDArray[np.int64] | None
) -> Feeds:
    """Return the inputs of a generator, without the inputs that it does not take."""
    inputs: dict[str, npt.NDArray[Any] | None] = {"z": z, "label": label, "member": member}
    return {name: values for name, values in inputs.items() if values is not None}


@dataclass(frozen=True, eq=False)
class GenerateArguments:
    """The arguments of ``ImageGenerator.generate``, as they were given."""

    seed: int | None
    count: int | None = None
    start: int = 0
    indices: Indices | None = None
    labels: LabelChoice | None = None
    per_class: LabelBudgets | None = None
    selection: Selection | str | Path | None = None
    truncation: float = 1.0
    spread: float = 1.0
    latents: Latents | None = None

    def check(self, card: ModelCard, digest: str) -> "ImageRequest":
        """Return what they name. Raises ``RequestError``, and ``SelectionError`` for a selection that cannot be drawn."""
        scale = check_scale(self.truncation, self.spread)
        if self.selection is not None:
            self._refuse("selection", "seed", "indices", "labels", "per_class", "latents")
            if scale != _PLAIN:
                raise RequestError("a selection has a spread of its own: leave truncation and spread out")
            return _of_selection(self.selection, self.count, self.start, card, digest)
        if self.latents is not None:
            self._refuse("latents", "seed", "count", "indices", "per_class")
            if self.start != 0:
                raise RequestError("latents have no address: leave start out")
            return of_latents(_check_latents(self.latents, card), self.labels, scale, card)
        if self.seed is None:
            raise RequestError("give a seed, or a selection or latents in its place")
        if self.per_class is not None:
            self._refuse("per_class", "count", "indices", "labels")
            chosen = budget_indices(card, self.seed, self.per_class, self.start)
            return ImageRequest(*check_address(self.seed, None, 0, chosen), scale=scale)
        seed, indices = check_address(self.seed, self.count, self.start, self.indices)
        return ImageRequest(seed, indices, check_labels(card, self.labels, len(indices)), scale)

    def _refuse(self, name: str, *others: str) -> None:
        """Raise ``RequestError`` if one of the others is given beside ``name``."""
        if given := [other for other in others if getattr(self, other) is not None]:
            raise RequestError(f"{name} replaces {' and '.join(given)}: give one or the other")


@dataclass(frozen=True, eq=False)
class ImageRequest:
    """Images by address, or of latents, which then have no seed and are counted from 0.

    Attributes:
        seed: The seed; None for latents.
        indices: The index of each image.
        labels: The chosen labels; None for the labels of the addresses.
        scale: The factor of the latents.
        latents: float32 ``[N, D]``, before the factor; None for addresses.
        member: The generator of a mixture that draws the latents.
    """

    seed: int | None
    indices: CheckedIndices
    labels: CheckedLabels | None = None
    scale: Scale = field(default_factory=Scale)
    latents: npt.NDArray[np.float32] | None = None
    member: int | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, places: slice) -> "ImageRequest":
        """Return the images at these positions."""
        labels = labels_at(self.labels, places.start, places.stop)
        latents = None if self.latents is None else self.latents[places]
        return replace(self, indices=self.indices[places], labels=labels, latents=latents)

    def labels_of(self, card: ModelCard) -> npt.NDArray[np.int64] | None:
        """Return the class of each image, int64 ``[N]``; None for a generator without classes."""
        return labels_of(card, 0 if self.seed is None else self.seed, self.indices, self.labels)

    def feeds(self, card: ModelCard) -> Feeds:
        """Return the inputs of the generator.

        They are ``z`` float32 ``[N, D]``, ``label`` int64 ``[N]`` if it has classes, ``member`` int64 ``[N]`` if it is a mixture.
        """
        if self.seed is None:
            assert self.latents is not None, "a request has an address or latents"
            member = None if self.member is None else np.full(len(self), self.member, np.int64)
            return feeds_of(self.scale(self.latents), self.labels_of(card), member)
        words = address_words(self.seed, self.indices, card.latent_dim, card.prior)
        chosen = self.labels is not None or not card.class_names
        labels = self.labels_of(card) if chosen else words.labels(len(card.class_names))
        members = words.members(card.generators) if card.generators > 1 else None
        return feeds_of(self.scale(words.latents()), labels, members)

    def batch(self, images: Images, card: ModelCard, digest: str) -> Batch:
        """Return the images, uint8 ``[N, H, W, C]``, with their labels and addresses."""
        return Batch(images, self.labels_of(card), self.seed, self.indices, digest, self.scale.factor)


def of_interpolation(
    first: Address, last: Address, steps: int, labels: LabelChoice | None, scale: Scale, card: ModelCard
) -> ImageRequest:
    """Return the request of ``ImageGenerator.interpolate``. Raises ``RequestError``."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 2:
        raise RequestError(f"steps must be an integer of at least 2, not {steps!r}")
    z, member = between(_check_pair("first", first), _check_pair("last", last), int(steps), card)
    return of_latents(z, labels, scale, card, member)


def between(first: Address, last: Address, steps: int, card: ModelCard) -> tuple[npt.NDArray[np.float32], int | None]:
    """Return latents float32 ``[steps, D]`` from one address to another, both included, and the member that draws them all.

    It is the generator of a mixture that ``first`` belongs to; None for a single generator.
    """
    one, other = (address_words(seed, [index], card.latent_dim, card.prior) for seed, index in (first, last))
    z = interpolate(one.latents()[0], other.latents()[0], steps, card.prior)
    return z, int(one.members(card.generators)[0]) if card.generators > 1 else None


def of_latents(
    z: npt.NDArray[np.float32], labels: LabelChoice | None, scale: Scale, card: ModelCard, member: int | None = None
) -> ImageRequest:
    """Return the request of latents, float32 ``[N, D]``. Raises ``RequestError`` without labels if there are classes."""
    given = check_labels(card, labels, len(z))
    if card.class_names and given is None:
        raise RequestError("this generator has classes, and without an address there is no label: give labels too")
    first = 0 if card.members and member is None else member
    return ImageRequest(None, range(len(z)), given, scale, z, first)


def _of_selection(
    selection: Selection | str | Path, count: int | None, start: int, card: ModelCard, digest: str
) -> ImageRequest:
    chosen = selection if isinstance(selection, Selection) else read_selection(selection)
    chosen.check_generator(digest, card.name)
    rest = max(1, len(chosen) - start) if count is None and isinstance(start, int | np.integer) else count
    _, places = check_address(0, rest, start, None)
    assert isinstance(places, range), "a start and a count are a range"
    if places.stop > len(chosen):
        raise RequestError(f"the selection has {len(chosen):,} images, and start and count name up to {places.stop:,}")
    labels = check_labels(card, chosen.labels, len(chosen))
    whole = ImageRequest(chosen.seed, chosen.indices, labels, Scale(spread=chosen.spread))
    return whole.part(slice(places.start, places.stop))


def _check_latents(latents: Latents, card: ModelCard) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            z = np.array(latents, np.float32)
    except (TypeError, ValueError):
        raise RequestError("latents must be numbers, one row for each image") from None
    if z.ndim != 2 or z.shape[1] != card.latent_dim or not len(z):
        raise RequestError(f"latents must have the shape [N, {card.latent_dim}] for this generator, not {[*z.shape]}")
    if not np.isfinite(z).all():
        raise RequestError("latents must be finite numbers, also as float32")
    return z


def _check_pair(name: str, address: Address) -> tuple[int, int]:
    if not isinstance(address, tuple) or len(address) != 2:
        raise RequestError(f"{name} must be an address, (seed, index), not {address!r}")
    seed, indices = check_address(address[0], None, 0, [address[1]])
    return seed, int(indices[0])
