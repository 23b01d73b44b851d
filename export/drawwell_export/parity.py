"""Proof that a graph draws torch's pixels: no file is written without it."""

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from drawwell.card import KnownAnswers, Parity
from drawwell.errors import DrawwellError
from drawwell.latents import Prior, latents
from drawwell_export.graph import PixelGenerator
from drawwell_train.networks import Generator

ADDRESSES = 1024
BATCH_SIZES = (1, 7, 64)
TOLERANCE_LEVELS = 1
"""Of 255, anywhere: two float32 kernels add in different orders, which moves a value across a rounding border now and then."""

_SEED = 0
_KNOWN_INDICES = (0, 1, 2, 2**63 - 1)


class ParityError(DrawwellError):
    """The exported graph does not draw torch's pixels."""


def measure(generator: Generator, model: onnx.ModelProto, latent_dim: int, prior: Prior) -> Parity:
    """Compare ``ADDRESSES`` images at every batch size. Raises ``ParityError`` beyond ``TOLERANCE_LEVELS``."""
    z = latents(_SEED, range(ADDRESSES), latent_dim, prior)
    expected = _torch_pixels(generator, z).astype(np.int16)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    largest, differing = 0, 0
    for size in BATCH_SIZES:
        drawn = np.concatenate(
            [session.run(["images"], {"z": z[first : first + size]})[0] for first in range(0, ADDRESSES, size)]
        )
        distance = np.abs(drawn - expected)
        largest, differing = max(largest, int(distance.max())), differing + int(np.count_nonzero(distance))
    if largest > TOLERANCE_LEVELS:
        raise ParityError(
            f"the exported graph is off by {largest} levels from torch, {TOLERANCE_LEVELS} are allowed: no file was written"
        )
    return Parity(ADDRESSES, BATCH_SIZES, largest, differing / (expected.size * len(BATCH_SIZES)))


def known_answers(generator: Generator, latent_dim: int, prior: Prior) -> KnownAnswers:
    """Torch's own pixels at a few addresses: whatever loads the file must draw these."""
    images = _torch_pixels(generator, latents(_SEED, _KNOWN_INDICES, latent_dim, prior))
    return KnownAnswers.of(_SEED, _KNOWN_INDICES, images, TOLERANCE_LEVELS)


@torch.no_grad()
def _torch_pixels(generator: Generator, z: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    pixels = PixelGenerator(generator.float().cpu().eval())
    return np.concatenate([pixels(torch.from_numpy(piece)).numpy() for piece in np.array_split(z, -(-len(z) // 64))])
