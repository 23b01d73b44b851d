"""Comparison of a graph's pixels with torch's: no file is written without it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from drawwell.addresses.arguments import Indices
from drawwell.addresses.latents import labels, latents, members
from drawwell.engine.cores import cores
from drawwell.engine.onnx_session import session_options
from drawwell.errors import DrawwellError
from drawwell.files.card import FeatureDistance, KnownAnswers, Parity
from drawwell.image_request import Feeds, feeds_of
from drawwell.pieces import slices
from drawwell_export.targets import Recipe
from drawwell_train.config import TrainConfig
from drawwell_train.evaluation.frechet import frechet_distance
from drawwell_train.networks.base import Discriminator, GeneratorNetwork, packed, to_images
from drawwell_train.run import mixture

BATCH_SIZES = (1, 7, 64)
INT8_MAY_DIFFER = 3 / 16
"""Share of the known images of an int8 file that may differ. Sums of integers are equal everywhere, but the first layer is in float:
its last bit can change one byte, which then goes through all layers. This was seen in up to 4 % of the images; a CPU that
overflows draws a third or more of the brightest images wrong."""

_SEED = 0
_BATCH_IMAGES = 64
KNOWN_INDICES = (0, 1, 2, 2**63 - 1)
_SEARCHED_INDICES = 4096
"""Among so many indices each of 32 members has one, except with a probability of 10**-55."""

Pixels = npt.NDArray[np.uint8]
Draw = Callable[[Feeds], Pixels]


class ParityError(DrawwellError):
    """The pixels of the exported graph are too far from torch's."""


def feeds(config: TrainConfig, indices: Indices, generators: int = 1) -> Feeds:
    """Return the inputs of a run's generator at ``indices`` of seed 0, as the engine makes them.

    These are ``z`` float32 ``[N, D]``, with classes ``label`` int64 ``[N]``, and for several ``generators`` ``member`` int64 ``[N]``.
    """
    dim, prior, classes = config.latent_dim, config.prior, len(config.class_names)
    label = labels(_SEED, indices, classes, dim, prior) if classes else None
    member = members(_SEED, indices, generators, dim, prior) if generators > 1 else None
    return feeds_of(latents(_SEED, indices, dim, prior), label, member)


def known_indices(config: TrainConfig, generators: int = 1) -> tuple[int, ...]:
    """Return ``KNOWN_INDICES``, and for a mixture the first index of each member that has none among them."""
    if generators == 1:
        return KNOWN_INDICES
    searched = np.array([*KNOWN_INDICES, *range(len(KNOWN_INDICES), _SEARCHED_INDICES)])
    places = np.unique(feeds(config, searched, generators)["member"], return_index=True)[1]
    return (*KNOWN_INDICES, *sorted(set(searched[places].tolist()) - set(KNOWN_INDICES)))


def batches(inputs: Feeds, size: int = _BATCH_IMAGES) -> Iterator[Feeds]:
    """Cut ``inputs`` into consecutive batches of at most ``size`` rows."""
    for rows in slices(len(inputs["z"]), size):
        yield {name: values[rows] for name, values in inputs.items()}


def measure(
    generators: Sequence[GeneratorNetwork],
    discriminator: Discriminator,
    model: onnx.ModelProto,
    recipe: Recipe,
    inputs: Feeds,
    pack: int = 1,
) -> Parity:
    """Compare the images of ``model`` with those of ``generators``, at ``inputs`` and at every batch size.

    ``discriminator`` belongs to the first generator and looks at ``pack`` images together. Its features measure int8 files. Raises
    ``ParityError`` if the pixels differ by more than ``recipe`` allows.
    """
    expected, draw = by_torch(*generators)(inputs), by_runtime(model)
    counts = np.zeros(256, np.int64)
    for size in BATCH_SIZES:
        drawn = np.concatenate([draw(batch) for batch in batches(inputs, size)]).astype(np.int16)
        counts += np.bincount(np.abs(drawn - expected).ravel(), minlength=256)
    mean, largest = float(counts @ np.arange(256) / counts.sum()), int(counts.nonzero()[0][-1])
    if largest > recipe.max_levels or mean > recipe.mean_levels:
        raise ParityError(
            f"the pixels of the exported graph differ from torch's by {mean:.2f} levels on average and {largest} at most; "
            f"{recipe.mean_levels:g} and {recipe.max_levels} are allowed, so no file was written: try another --target"
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
    generators: Sequence[GeneratorNetwork],
    model: onnx.ModelProto,
    recipe: Recipe,
    config: TrainConfig,
    indices: tuple[int, ...] = KNOWN_INDICES,
) -> KnownAnswers:
    """Return the pixels that every machine must draw from the file: torch's, or for int8 those of exact integer sums."""
    inputs = feeds(config, indices, len(generators))
    if recipe.int8:
        return KnownAnswers.of(_SEED, indices, by_runtime(model)(inputs), 0, int(len(indices) * INT8_MAY_DIFFER))
    return KnownAnswers.of(_SEED, indices, by_torch(*generators)(inputs), recipe.max_levels)


def by_torch(*generators: GeneratorNetwork) -> Draw:
    """Return a function from inputs to pixels uint8 ``[N, H, W, C]``, drawn by torch in float32."""
    networks = [generator.float().cpu().eval() for generator in generators]

    def drawn(piece: Feeds) -> Pixels:
        label = torch.from_numpy(piece["label"]) if "label" in piece else None
        return mixture.draw(networks, torch.from_numpy(piece["z"]), label, piece.get("member"))

    return lambda inputs: np.concatenate([drawn(batch) for batch in batches(inputs)])


def by_runtime(model: onnx.ModelProto) -> Draw:
    """Return a function from inputs to pixels uint8 ``[N, H, W, C]``, drawn by ONNX Runtime on the CPU."""
    options = session_options(cores())
    # Exact sums also on a CPU without VNNI, which otherwise adds in 16 bits. Other CPUs become half as fast.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda inputs: session.run(["images"], inputs)[0]


def _features(discriminator: Discriminator, black: float, pack: int) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """A function from pixels to the discriminator's last feature map, averaged over positions: float32 ``[N / pack, F]``."""

    @torch.no_grad()
    def features(pixels: Pixels) -> npt.NDArray[np.float32]:
        pieces = (
            packed(to_images(piece, black), pack)
            for piece in torch.split(torch.from_numpy(pixels), _BATCH_IMAGES * pack)
        )
        return np.concatenate([discriminator.features(piece).mean((2, 3)).numpy() for piece in pieces])

    return features


def _feature_distances(
    features: Callable[[Pixels], npt.NDArray[np.float32]], draw: Draw, expected: Pixels, inputs: Feeds, half: int
) -> tuple[float, float]:
    """Distances of torch's images (the floor) and of the file's images, of one half of the addresses, to torch's other half.

    The features are of the run's own discriminator, which knows its data.
    """
    first_half = {name: values[:half] for name, values in inputs.items()}
    drawn = np.concatenate([draw(batch) for batch in batches(first_half)])
    reference = features(expected[half : 2 * half])
    floor, distance = (frechet_distance(features(pixels), reference) for pixels in (expected[:half], drawn))
    return floor, distance
