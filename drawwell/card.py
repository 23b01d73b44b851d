"""The model card: what a generator file says of itself."""

import base64
import zlib
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from drawwell.errors import GeneratorFileError
from drawwell.latents import Prior

FORMAT_VERSION = 1

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Training:
    """What the generator learned from: ``images`` counts those shown to the discriminator, repeats included."""

    dataset: str
    license: str
    images: Count
    steps: Count
    config_sha256: Sha256


@dataclass(frozen=True)
class Parity:
    """How far the file's pixels are from torch's, in levels of 255, over ``addresses`` drawn at each of ``batch_sizes``."""

    addresses: Count
    batch_sizes: tuple[Positive, ...]
    max_levels: Count
    differing_share: Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True)
class KnownAnswers:
    """Pixels that the file must draw: of each index's image, flattened, every ``pixel_step``-th value, uint8, zlib, base64."""

    seed: Count
    indices: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1)]
    pixel_step: Positive
    tolerance_levels: Count
    pixels: str

    @classmethod
    def of(
        cls, seed: int, indices: tuple[int, ...], images: npt.NDArray[np.uint8], tolerance_levels: int
    ) -> "KnownAnswers":
        """Sample images uint8 ``[n, H, W, C]``, some 1,000 values of each, over all rows, columns and channels."""
        pixel_step = max(1, images[0].size // 1024) | 1
        if images.shape[-1] == 3 and pixel_step % 3 == 0:
            pixel_step += 2  # a multiple of 3 would see one channel only
        sampled = images.reshape(len(images), -1)[:, ::pixel_step]
        packed = base64.b64encode(zlib.compress(sampled.tobytes(), 9)).decode()
        return cls(seed, indices, pixel_step, tolerance_levels, packed)

    def distance(self, images: npt.NDArray[np.uint8]) -> int:
        """The largest difference, in levels, of images uint8 ``[n, H, W, C]`` drawn at these indices."""
        sampled = images.reshape(len(images), -1)[:, :: self.pixel_step].astype(np.int16)
        try:
            known = np.frombuffer(zlib.decompress(base64.b64decode(self.pixels)), np.uint8).reshape(sampled.shape)
        except (ValueError, zlib.error) as error:
            raise GeneratorFileError(f"its known answers cannot be read ({error})") from error
        return int(np.abs(sampled - known).max())


@dataclass(frozen=True)
class ModelCard:
    """The model card in a generator file. Images are uint8 ``[height, width, channels]``, ``z`` is float32 ``[latent_dim]``."""

    name: str
    prior: Prior
    latent_dim: Positive
    height: Positive
    width: Positive
    channels: Literal[1, 3]
    training: Training
    parity: Parity
    known_answers: KnownAnswers
    class_names: tuple[str, ...] = ()
    """Empty for a generator that takes no label."""
    quality: dict[str, float] = field(default_factory=dict)
    """Measures of the images; empty where none were taken."""
    format_version: int = FORMAT_VERSION

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    def in_words(self) -> dict[str, str]:
        """The card for people: what each line is about, and the fact."""
        return {
            "Images": f"{self.height} x {self.width} pixels, {'grey' if self.channels == 1 else 'colour'}",
            "Classes": ", ".join(self.class_names) or "none: it takes no label",
            "Drawn from": f"{self.latent_dim} latents, {self.prior} prior",
            "Trained on": f"{self.training.dataset}, {self.training.images:,} images seen in {self.training.steps:,} steps",
            "Data licence": self.training.license,
            "Parity": f"at most {self.parity.max_levels} of 255 levels from torch over {self.parity.addresses:,} images",
            "Quality": ", ".join(f"{name} {value:g}" for name, value in self.quality.items()) or "not measured",
        }


def card_from_json(text: str | bytes) -> ModelCard:
    """Read a card. Raises ``GeneratorFileError`` where it is none, or one of another format version."""
    if not text:
        raise GeneratorFileError("has no card")
    try:
        raw = msgspec.json.decode(text)
        if isinstance(raw, dict) and raw.get("format_version") != FORMAT_VERSION:
            raise GeneratorFileError(
                f"is written in format {raw.get('format_version')}, this drawwell reads format {FORMAT_VERSION}: "
                "use the drawwell that wrote it, or export the run again"
            )
        return msgspec.convert(raw, ModelCard)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise GeneratorFileError(f"its card is not valid ({error})") from error
