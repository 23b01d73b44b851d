"""Proof that a graph draws torch's pixels: no file is written without it."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from drawwell.addresses.arguments import Indices
from drawwell.addresses.latents import labels, latents, members
from drawwell.engine.backends import Feeds, feeds_of
from drawwell.engine.cores import cores
from drawwell.engine.onnx_session import session_options
from drawwell.errors import DrawwellError
from drawwell.files.card import FeatureDistance, KnownAnswers, Parity
from drawwell.pieces import slices
from drawwell_export.targets import Recipe
from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.evaluation.frechet import frechet_distance
from drawwell_train.networks.networks import Discriminator, Generator, packed, to_images
from drawwell_train.run import mixture

BATCH_SIZES = (1, 7, 64)
INT8_MAY_DIFFER = 3 / 16
"""Of the known images of an int8 file. Integers add alike everywhere, but the float stem does not: its last bit can turn one
byte, which then goes through all layers: seen in up to 4 % of the images, and overflow in a third and more of the brightest."""

_SEED = 0
KNOWN_INDICES = (0, 1, 2, 2**63 - 1)
_SEARCHED = 4096
"""Addresses among which each of 32 members has one, but for one chance in 10**55."""

Pixels = npt.NDArray[np.uint8]
Draw = Callable[[Feeds], Pixels]


class ParityError(DrawwellError):
    """The exported graph does not draw torch's pixels."""


def feeds(config: TrainConfig, indices: Indices, generators: int = 1) -> Feeds:
    """The inputs of a run's generator at addresses, as the engine makes them: ``z`` float32 ``[N, D]``, ``label`` int64 ``[N]``
    where it has classes, and ``member`` int64 ``[N]`` of a mixture of several ``generators``.
    """
    dim, prior, classes = config.latent_dim, recipe_of(config).prior, len(config.class_names)
    label = labels(_SEED, indices, classes, dim, prior) if classes else None
    member = members(_SEED, indices, generators, dim, prior) if generators > 1 else None
    return feeds_of(latents(_SEED, indices, dim, prior), label, member)


def known_indices(config: TrainConfig, generators: int = 1) -> tuple[int, ...]:
    """``KNOWN_INDICES``, and of a mixture the first address of each member that these leave out."""
    if generators == 1:
        return KNOWN_INDICES
    searched = np.array([*KNOWN_INDICES, *range(len(KNOWN_INDICES), _SEARCHED)])
    places = np.unique(feeds(config, searched, generators)["member"], return_index=True)[1]
    return (*KNOWN_INDICES, *sorted(set(searched[places].tolist()) - set(KNOWN_INDICES)))


def rows(inputs: Feeds, piece: slice) -> Feeds:
    """The same rows of every input."""
    return {name: values[piece] for name, values in inputs.items()}


def measure(
    generators: Sequence[Generator],
    discriminator: Discriminator,
    model: onnx.ModelProto,
    recipe: Recipe,
    inputs: Feeds,
    pack: int = 1,
) -> Parity:
    """Compare the images of ``inputs`` at every batch size. Raises ``ParityError`` beyond what the recipe allows.

    The discriminator, that of the first generator, looks at ``pack`` images together.
    """
    expected, draw = by_torch(*generators)(inputs), by_runtime(model)
    counts = np.zeros(256, np.int64)
    for size in BATCH_SIZES:
        for piece in slices(len(expected), size):
            drawn = draw(rows(inputs, piece)).astype(np.int16)
            distances = np.abs(drawn - expected[piece])
            counts += np.bincount(distances.ravel(), minlength=256)
    mean, largest = float(counts @ np.arange(256) / counts.sum()), int(counts.nonzero()[0][-1])
    if largest > recipe.max_levels or mean > recipe.mean_levels:
        raise ParityError(
            f"the exported graph is off by {mean:.2f} levels on average and {largest} at most from torch, "
            f"{recipe.mean_levels:g} and {recipe.max_levels} are allowed: no file was written"
        )
    p99 = int(np.searchsorted(counts.cumsum(), 0.99 * counts.sum()))
    distance = None
    if recipe.int8:
        features = _features(discriminator, generators[0].lowest, pack)
        half = len(expected) // (2 * pack) * pack
        network = "the run's discriminator" if len(generators) == 1 else "the first run's discriminator"
        distance = FeatureDistance(network, half, *_feature_distances(features, draw, expected, inputs, half))
    return Parity(len(expected), BATCH_SIZES, mean, p99, largest, float(counts[1:].sum() / counts.sum()), distance)


def known_answers(
    generators: Sequence[Generator],
    model: onnx.ModelProto,
    recipe: Recipe,
    config: TrainConfig,
    indices: tuple[int, ...] = KNOWN_INDICES,
) -> KnownAnswers:
    """What anything that loads the file must draw at a few addresses: torch's pixels, or for int8 those of exact integers."""
    inputs = feeds(config, indices, len(generators))
    if recipe.int8:
        return KnownAnswers.of(_SEED, indices, by_runtime(model)(inputs), 0, int(len(indices) * INT8_MAY_DIFFER))
    return KnownAnswers.of(_SEED, indices, by_torch(*generators)(inputs), recipe.max_levels)


def by_torch(*generators: Generator) -> Draw:
    """Inputs to pixels uint8 ``[N, H, W, C]`` by the networks as they were trained, in float32."""
    networks = [generator.float().cpu().eval() for generator in generators]

    def drawn(piece: Feeds) -> Pixels:
        label = torch.from_numpy(piece["label"]) if "label" in piece else None
        return mixture.draw(networks, torch.from_numpy(piece["z"]), label, piece.get("member"))

    return lambda inputs: np.concatenate([drawn(rows(inputs, piece)) for piece in slices(len(inputs["z"]), 64)])


def by_runtime(model: onnx.ModelProto) -> Draw:
    """Inputs to pixels by ONNX Runtime on the processor."""
    options = session_options(cores())
    # exact on a processor without VNNI too, which else adds in 16 bits, and on every other half as fast
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda inputs: session.run(["images"], inputs)[0]


def _features(discriminator: Discriminator, black: float, pack: int) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """Pixels to the discriminator's last feature map, mean over places: float32 ``[N / pack, F]``."""

    @torch.no_grad()
    def features(pixels: Pixels) -> npt.NDArray[np.float32]:
        pieces = (packed(to_images(piece, black), pack) for piece in torch.split(torch.from_numpy(pixels), 64 * pack))
        return np.concatenate([discriminator.features(piece).mean((2, 3)).numpy() for piece in pieces])

    return features


def _feature_distances(
    features: Callable[[Pixels], npt.NDArray[np.float32]], draw: Draw, expected: Pixels, inputs: Feeds, half: int
) -> tuple[float, float]:
    """The floor and what was drawn, in a run's own discriminator, which knows what its data look like. Half of the addresses
    against the other half.
    """
    drawn = np.concatenate([draw(rows(inputs, piece)) for piece in slices(half, 64)])
    reference = features(expected[half : 2 * half])
    floor, distance = (frechet_distance(features(pixels), reference) for pixels in (expected[:half], drawn))
    return floor, distance
