"""The model card: what a generator file says of itself."""

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
from drawwell.files.quality import Quality, without_absent
from drawwell.text import printable

PLAIN_FORMAT, MIXTURE_FORMAT = 3, 4
"""A mixture has a number of its own, so that a drawwell that knows none says so. Plain files stay readable to it."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises where JSON is not what it should be."""

Target = Literal["portable", "cpu", "cpu-int8", "cuda"]
"""What a file was exported for; ``cpu-int8`` needs a processor with VNNI, the others draw anywhere."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**14)]
Level = Annotated[int, msgspec.Meta(ge=0, le=255)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
"""With its length, since a line break may stand before the end that ``$`` finds."""


@dataclass(frozen=True)
class Training:
    """What the generator learned from: ``images`` counts those shown to the discriminator, repeats included."""

    dataset: str
    license: str
    images: Count
    steps: Count
    config_sha256: Sha256


def total_of(members: tuple[Training, ...]) -> Training:
    """What the generators of a mixture learned from together; of one, its own."""
    if len(members) == 1:
        return members[0]
    return Training(
        dataset=_each_once(member.dataset for member in members),
        license=_each_once(member.license for member in members),
        images=sum(member.images for member in members),
        steps=sum(member.steps for member in members),
        config_sha256=hashlib.sha256("".join(member.config_sha256 for member in members).encode()).hexdigest(),
    )


def _each_once(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(texts))


@dataclass(frozen=True)
class FeatureDistance:
    """A Frechet distance to torch's images of as many other addresses: of torch's own (``floor``), and of this file's.

    ``features`` names the network whose features were compared. The difference of the two is what the file's numbers cost.
    """

    features: str
    images: Positive
    floor: float
    drawn: float


@dataclass(frozen=True)
class Parity:
    """How far the file's pixels are from torch's, in levels of 255, over ``addresses`` drawn at each of ``batch_sizes``."""

    addresses: Count
    batch_sizes: tuple[Positive, ...]
    mean_levels: Annotated[float, msgspec.Meta(ge=0, le=255)]
    p99_levels: Level
    max_levels: Level
    differing_share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    feature_distance: FeatureDistance | None = None
    """Measured where the numbers within are rounded, so that pixels alone do not say enough."""

    def in_words(self) -> str:
        """The distance for people."""
        largest = f"{self.max_levels} at most, in {self.addresses:,} images"
        if not self.p99_levels:
            return f"levels of 255 from torch's pixels: {largest}"
        text = f"levels of 255 from torch's pixels: {self.mean_levels:.2f} on average, {self.p99_levels} or less in 99 %, {largest}"
        if self.feature_distance is not None:
            drawn, floor = self.feature_distance.drawn, self.feature_distance.floor
            text += f"; Frechet distance to them {drawn:.2e}, of their own {floor:.2e} (features of {self.feature_distance.features})"
        return text


@dataclass(frozen=True)
class KnownAnswers:
    """Pixels that the file must draw: of each index's image, flattened, every ``pixel_step``-th value, uint8, zlib, base64.

    All but ``may_differ`` of the images are within ``tolerance_levels`` wherever the file is drawn right.
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
        """Sample images uint8 ``[n, H, W, C]``, some 1,000 values of each, over all rows, columns and channels."""
        pixel_step = max(1, images[0].size // 1024) | 1
        if images.shape[-1] == 3 and pixel_step % 3 == 0:
            pixel_step += 2  # a multiple of 3 would see one channel only
        sampled = images.reshape(len(images), -1)[:, ::pixel_step]
        packed = base64.b64encode(zlib.compress(sampled.tobytes(), 9)).decode()
        return cls(seed, indices, pixel_step, tolerance_levels, packed, may_differ)

    def distances(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
        """The largest difference of each, in levels ``[n]``, of images uint8 ``[n, H, W, C]`` drawn at these indices."""
        sampled = images.reshape(len(images), -1)[:, :: self.pixel_step].astype(np.int16)
        try:
            # no more than is needed: a few bytes of zlib can hold a gigabyte
            unpacked = zlib.decompressobj().decompress(base64.b64decode(self.pixels), sampled.size + 1)
            known = np.frombuffer(unpacked, np.uint8).reshape(sampled.shape)
        except (ValueError, zlib.error) as error:
            raise GeneratorFileError(f"its known answers cannot be read ({error})") from error
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
    """Empty for a generator that takes no label."""
    quality: Quality | None = None
    """None where no measures were taken."""
    format_version: int = PLAIN_FORMAT
    members: tuple[Training, ...] = ()
    """Of a mixture, what each of its generators learned from, in their order; ``training`` is the sum. Empty for a plain file."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    @property
    def generators(self) -> int:
        """How many generators the file holds: a plain file is a mixture of one."""
        return len(self.members) or 1

    def in_words(self) -> dict[str, str]:
        """The card for people: what each line is about, and the fact."""
        return {
            **({"Mixture": self._mixture()} if self.members else {}),
            "Images": f"{self.height} x {self.width} pixels, {'grey' if self.channels == 1 else 'colour'}",
            "Classes": ", ".join(self.class_names) or "none: it takes no label",
            "Drawn from": f"{self.latent_dim} latents, {self.prior} prior",
            "Trained on": f"{self.training.dataset}, {self.training.images:,} images seen in {self.training.steps:,} steps",
            "Data licence": self.training.license,
            "Target": f"{self.target}, for {_MADE_FOR[self.target]}",
            "Parity": self.parity.in_words(),
            **({"Quality": "not measured"} if self.quality is None else self.quality.in_words()),
        }

    def _mixture(self) -> str:
        """Members that saw equally much are told together."""
        counts = Counter(f"{one.images:,} images in {one.steps:,} steps" for one in self.members)
        seen = "; ".join(f"{count} saw {what}" for what, count in counts.items())
        return f"{len(self.members)} generators; each address is drawn by one of them; {seen}"


_MADE_FOR: dict[Target, str] = {
    "portable": "any processor and runtime",
    "cpu": "processors, in float32",
    "cpu-int8": "processors with VNNI, in 8-bit integers",
    "cuda": "CUDA devices, in float16",
}


def card_to_json(card: ModelCard) -> bytes:
    """As files hold it. A card without what later versions added has the bytes that it had before, so that its digest stays."""
    fields: dict[str, Any] = msgspec.to_builtins(card)
    if not fields.get("members"):
        fields.pop("members", None)
    if fields.get("quality"):
        fields["quality"] = without_absent(fields["quality"])
    return msgspec.json.encode(fields)


class _Version(msgspec.Struct):
    """Read alone: the rest is decoded by its type only, so that what is no card takes no memory."""

    format_version: msgspec.Raw = msgspec.Raw(b"None")


def card_from_json(text: str | bytes) -> ModelCard:
    """Read a card. Raises ``GeneratorFileError`` where it is none, or one of another format version."""
    if not text:
        raise GeneratorFileError("has no card")
    try:
        version = bytes(msgspec.json.decode(text, type=_Version).format_version)
        if version not in (b"%d" % PLAIN_FORMAT, b"%d" % MIXTURE_FORMAT):
            raise GeneratorFileError(
                f"is written in format {printable(version.decode(), 40)}, this drawwell reads {PLAIN_FORMAT} and {MIXTURE_FORMAT}: "
                "use the drawwell that wrote it, or export the run again"
            )
        card = msgspec.json.decode(text, type=ModelCard)
        if len(card.members) == 1:
            raise GeneratorFileError("its card is not valid (a mixture of one generator is a plain file)")
        return card
    except UNREADABLE as error:
        raise GeneratorFileError(f"its card is not valid ({printable(error, 300)})") from error
