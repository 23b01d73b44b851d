"""Proof that a graph draws torch's pixels: no file is written without it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from drawwell.card import FeatureDistance, KnownAnswers, Parity
from drawwell.cores import cores
from drawwell.errors import DrawwellError
from drawwell.latents import Prior, latents
from drawwell.session import session_options
from drawwell_export.targets import Recipe
from drawwell_train.frechet import frechet_distance
from drawwell_train.networks import Discriminator, Generator, to_images, to_pixels

BATCH_SIZES = (1, 7, 64)
INT8_MAY_DIFFER = 3 / 16
"""Of the known images of an int8 file. Integers add alike everywhere, but the float stem does not: its last bit can turn one
byte, which then goes through all layers: seen in up to 4 % of the images, and overflow in a third and more of the brightest."""

_SEED = 0
KNOWN_INDICES = (0, 1, 2, 2**63 - 1)

Latents = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Draw = Callable[[Latents], Pixels]


class ParityError(DrawwellError):
    """The exported graph does not draw torch's pixels."""


def measure(
    generator: Generator, discriminator: Discriminator, model: onnx.ModelProto, recipe: Recipe, z: Latents
) -> Parity:
    """Compare the images of latents ``z`` at every batch size. Raises ``ParityError`` beyond what the recipe allows."""
    expected, draw = by_torch(generator)(z), by_runtime(model)
    counts = np.zeros(256, np.int64)
    for size in BATCH_SIZES:
        for first in range(0, len(z), size):
            drawn = draw(z[first : first + size]).astype(np.int16)
            distances = np.abs(drawn - expected[first : first + size])
            counts += np.bincount(distances.ravel(), minlength=256)
    mean, largest = float(counts @ np.arange(256) / counts.sum()), int(counts.nonzero()[0][-1])
    if largest > recipe.max_levels or mean > recipe.mean_levels:
        raise ParityError(
            f"the exported graph is off by {mean:.2f} levels on average and {largest} at most from torch, "
            f"{recipe.mean_levels:g} and {recipe.max_levels} are allowed: no file was written"
        )
    p99 = int(np.searchsorted(counts.cumsum(), 0.99 * counts.sum()))
    features = _feature_distance(discriminator, draw, expected, z) if recipe.int8 else None
    return Parity(len(z), BATCH_SIZES, mean, p99, largest, float(counts[1:].sum() / counts.sum()), features)


def known_answers(
    generator: Generator,
    model: onnx.ModelProto,
    recipe: Recipe,
    latent_dim: int,
    prior: Prior,
    indices: tuple[int, ...] = KNOWN_INDICES,
) -> KnownAnswers:
    """What anything that loads the file must draw at a few addresses: torch's pixels, or for int8 those of exact integers."""
    z = latents(_SEED, indices, latent_dim, prior)
    if recipe.int8:
        return KnownAnswers.of(_SEED, indices, by_runtime(model)(z), 0, int(len(indices) * INT8_MAY_DIFFER))
    return KnownAnswers.of(_SEED, indices, by_torch(generator)(z), recipe.max_levels)


def prior_sample(count: int, latent_dim: int, prior: Prior, start: int = 0) -> Latents:
    """Latents float32 ``[count, latent_dim]`` of consecutive addresses."""
    return latents(_SEED, range(start, start + count), latent_dim, prior)


def by_torch(generator: Generator) -> Draw:
    """Latents to pixels uint8 ``[N, H, W, C]`` by the network as it was trained, in float32."""
    network = generator.float().cpu().eval()

    @torch.no_grad()
    def draw(z: Latents) -> Pixels:
        return np.concatenate([to_pixels(network(piece)).numpy() for piece in torch.split(torch.from_numpy(z), 64)])

    return draw


def by_runtime(model: onnx.ModelProto) -> Draw:
    """Latents to pixels by ONNX Runtime on the processor."""
    options = session_options(cores())
    # exact on a processor without VNNI too, which else adds in 16 bits, and on every other half as fast
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda z: session.run(["images"], {"z": z})[0]


@torch.no_grad()
def _feature_distance(discriminator: Discriminator, draw: Draw, expected: Pixels, z: Latents) -> FeatureDistance:
    """In the run's own discriminator, which knows what its data look like: its last feature map, mean over places.

    Half of the addresses against the other half.
    """

    def features(pixels: Pixels) -> npt.NDArray[np.float32]:
        return np.concatenate(
            [
                discriminator.features(to_images(piece)).mean((2, 3)).numpy()
                for piece in torch.split(torch.from_numpy(pixels), 64)
            ]
        )

    half = len(z) // 2
    drawn = np.concatenate([draw(z[first : first + 64]) for first in range(0, half, 64)])[:half]
    reference = features(expected[half:])
    floor, distance = (frechet_distance(features(pixels), reference) for pixels in (expected[:half], drawn))
    return FeatureDistance("the run's discriminator", half, floor, distance)
