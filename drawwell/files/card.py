"""The model card: the description that a generator file carries of itself."""

import base64
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell.addresses.latents import Prior
from drawwell.errors import GeneratorFileError
from drawwell.files.card_json import card_from
from drawwell.files.certified import Certified
from drawwell.files.history import TrainingHistory
from drawwell.files.quality import Quality, without_absent

PLAIN_FORMAT, MIXTURE_FORMAT = 3, 4
"""Mixtures have a number of their own: a drawwell that cannot read mixtures says so, and still reads plain files."""

Target = Literal["portable", "cpu", "cpu-int8", "cuda"]
"""The hardware that a file was exported for. ``cpu-int8`` needs a CPU with VNNI; the others draw anywhere."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**14)]
Level = Annotated[int, msgspec.Meta(ge=0, le=255)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
"""``max_length`` is needed too: ``$`` also matches before a final line break."""


@dataclass(frozen=True)
class Training:
    """The training of one generator. ``images`` counts the real images shown to the discriminator, repeats included."""

    dataset: str
    license: str
    images: Count
    steps: Count
    config_sha256: Sha256
    data_sha256: str = ""
    """Of the real images, with their labels in a training by class. Empty where it is not known: in files of earlier versions, and for
    a mixture of generators that learned from different images.
    """


def total_of(members: tuple[Training, ...]) -> Training:
    """Return the sum of the trainings of a mixture's generators; a single training is returned as it is."""
    if len(members) == 1:
        return members[0]
    return Training(
        dataset=_each_once(member.dataset for member in members),
        license=_each_once(member.license for member in members),
        images=sum(member.images for member in members),
        steps=sum(member.steps for member in members),
        config_sha256=hashlib.sha256("".join(member.config_sha256 for member in members).encode()).hexdigest(),
        data_sha256=_the_same(member.data_sha256 for member in members),
    )


def _the_same(texts: Iterable[str]) -> str:
    """What all texts are, or nothing."""
    first, *others = dict.fromkeys(texts)
    return "" if others else first


def _each_once(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(texts))


@dataclass(frozen=True)
class FeatureDistance:
    """Frechet distances (Heusel et al. 2017, equation 6) to torch's images of ``images`` other addresses.

    ``drawn`` is the distance of the file's images, ``floor`` that of torch's own images: their difference is the price of the
    file's number format. ``features`` names the network whose features were compared.
    """

    features: str
    images: Positive
    floor: float
    drawn: float


@dataclass(frozen=True)
class Parity:
    """Differences between the file's pixels and torch's, in levels of 255, over ``addresses`` images at each of ``batch_sizes``."""

    addresses: Count
    batch_sizes: tuple[Positive, ...]
    mean_levels: Annotated[float, msgspec.Meta(ge=0, le=255)]
    p99_levels: Level
    max_levels: Level
    differing_share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    feature_distance: FeatureDistance | None = None
    """Measured for int8 files only: for them a distance of pixels says too little about the images."""

    def in_words(self) -> str:
        """The differences as one sentence for people."""
        most = f"at most {self.max_levels} of 255 levels (measured on {self.addresses:,} images)"
        if not self.p99_levels:
            return f"pixels differ from torch's by {most}"
        text = f"pixels differ from torch's by {self.mean_levels:.2f} on average, by at most {self.p99_levels} in 99% of values, by {most}"
        if (distance := self.feature_distance) is not None:
            floor = f"torch's own images: {distance.floor:.2e}; features of {distance.features}"
            text += f"; Frechet distance to torch's images {distance.drawn:.2e} ({floor})"
        return text


@dataclass(frozen=True)
class KnownAnswers:
    """Pixels that every machine must draw from the file, at ``indices`` of ``seed``.

    ``pixels`` holds every ``pixel_step``-th value of each flattened image, as uint8, compressed by zlib, in base64. A machine draws
    the file correctly if all images except ``may_differ`` of them are within ``tolerance_levels``.
    """

    seed: Count
    indices: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1, max_length=256)]
    pixel_step: Positive
    tolerance_levels: Level
    pixels: str
    may_differ: Count = 0

    @classmethod
    def of(
        cls,
        seed: int,
        indices: tuple[int, ...],
        images: npt.NDArray[np.uint8],
        tolerance_levels: int,
        may_differ: int = 0,
    ) -> "KnownAnswers":
        """Sample about 1,000 values of each of ``images``, uint8 ``[n, H, W, C]``, from all rows, columns and channels."""
        pixel_step = max(1, images[0].size // 1024) | 1
        if images.shape[-1] == 3 and pixel_step % 3 == 0:
            pixel_step += 2  # a multiple of 3 would sample one channel only
        sampled = images.reshape(len(images), -1)[:, ::pixel_step]
        packed = base64.b64encode(zlib.compress(sampled.tobytes(), 9)).decode()
        return cls(seed, indices, pixel_step, tolerance_levels, packed, may_differ)

    def distances(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
        """Return the largest difference of each image in levels, int16 ``[n]``.

        ``images`` are uint8 ``[n, H, W, C]``, drawn at ``indices``. Raises ``GeneratorFileError`` where ``pixels`` cannot be decoded.
        """
        sampled = images.reshape(len(images), -1)[:, :: self.pixel_step].astype(np.int16)
        try:
            # at most as many bytes as are needed: a few bytes of zlib can expand to a gigabyte
            unpacked = zlib.decompressobj().decompress(base64.b64decode(self.pixels), sampled.size + 1)
            known = np.frombuffer(unpacked, np.uint8).reshape(sampled.shape)
        except (ValueError, zlib.error) as error:
            raise GeneratorFileError(f"its known answers cannot be read ({error}): export the run again") from error
        largest: npt.NDArray[np.int16] = np.abs(sampled - known).max(1)
        return largest


@dataclass(frozen=True)
class ModelCard:
    """The model card in a generator file. Images are uint8 ``[height, width, channels]``, ``z`` is float32 ``[latent_dim]``.

    Example:
        >>> with drawwell.open("fashion") as generator:
        ...     card = generator.card
        >>> card.image_shape, card.latent_dim, card.class_names[:2]
        ((28, 28, 1), 100, ('T-shirt/top', 'Trouser'))
    """

    name: str
    prior: Prior
    latent_dim: Annotated[int, msgspec.Meta(ge=1, le=2**16)]
    height: Side
    width: Side
    channels: Literal[1, 3]
    target: Target
    training: Training
    parity: Parity
    known_answers: KnownAnswers
    class_names: tuple[str, ...] = ()
    """Empty for a generator without classes."""
    quality: Quality | None = None
    """None if the generator was not measured before its export."""
    certificate: Certified | None = None
    """None if it was not certified before its export."""
    format_version: int = PLAIN_FORMAT
    members: tuple[Training, ...] = ()
    """The training of each generator of a mixture, in order; ``training`` is their sum. Empty for a plain file."""
    history: TrainingHistory | None = None
    """None for a mixture, whose trainings have different curves, and for a run whose numbers were missing at its export."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)``."""
        return self.height, self.width, self.channels

    @property
    def generators(self) -> int:
        """The number of generators in the file: 1 for a plain file."""
        return len(self.members) or 1

    def in_words(self) -> dict[str, str]:
        """The rows of a table for people, by their headings."""
        return {
            **({"Mixture": self._mixture()} if self.members else {}),
            "Images": f"{self.height} x {self.width} pixels, {'grey' if self.channels == 1 else 'colour'}",
            "Classes": ", ".join(self.class_names) or "none",
            "Latents": f"{self.latent_dim} numbers, {self.prior} prior",
            "Trained on": f"{self.training.dataset}, {self.training.images:,} images in {self.training.steps:,} steps",
            "Data licence": self.training.license,
            "Target": f"{self.target}, for {_MADE_FOR[self.target]}",
            "Parity": self.parity.in_words(),
            **({"Quality": "not measured"} if self.quality is None else self.quality.in_words()),
            **({} if self.certificate is None else self.certificate.in_words()),
        }

    def _mixture(self) -> str:
        """Generators with equally long trainings share a clause."""
        lengths = Counter(f"{one.images:,} images in {one.steps:,} steps" for one in self.members)
        trained = "; ".join(f"{count} trained on {length}" for length, count in lengths.items())
        return f"{len(self.members)} generators; each address belongs to one of them; {trained}"


_MADE_FOR: dict[Target, str] = {
    "portable": "any hardware and ONNX runtime, in float32",
    "cpu": "CPUs, in float32",
    "cpu-int8": "CPUs with VNNI, in 8-bit integers",
    "cuda": "CUDA devices, in float16",
}


def card_to_json(card: ModelCard) -> bytes:
    """Return the JSON that a generator file holds.

    Fields that later versions added are left out where they are empty: an old card keeps its bytes, and its file its digest.
    """
    fields: dict[str, Any] = msgspec.to_builtins(card)
    for later in ("members", "certificate", "history"):
        if not fields.get(later):
            fields.pop(later, None)
    if fields.get("quality"):
        fields["quality"] = without_absent(fields["quality"])
    return msgspec.json.encode(fields)


def card_from_json(text: str | bytes) -> ModelCard:
    """Return the card in ``text``. Raises ``GeneratorFileError`` for anything else, and for another format version."""
    card = card_from(text, "generator", (PLAIN_FORMAT, MIXTURE_FORMAT), ModelCard)
    if len(card.members) == 1:
        raise GeneratorFileError("its card is not valid (a mixture of one generator is a plain file)")
    return card
