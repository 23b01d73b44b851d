"""A trained discriminator as a sealed file that judges pictures one by one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from drawwell.engine.cores import cores
from drawwell.engine.engine import Engine
from drawwell.engine.judge import Judge
from drawwell.engine.onnx_session import session_options
from drawwell.files.discriminator_card import (
    DiscriminatorCard,
    KnownLogits,
    LogitParity,
    Logits,
    LogitScale,
    known_labels,
    known_pictures,
)
from drawwell.files.discriminator_file import seal
from drawwell.generator import Images
from drawwell.pieces import slices
from drawwell_export.class_probe import fit_probe
from drawwell_export.judging import NotJudgedError, features_of, for_one_picture, graph_of
from drawwell_export.parity import BATCH_SIZES, ParityError
from drawwell_export.parts import training_of
from drawwell_export.write import write_checked
from drawwell_train.config import TrainConfig
from drawwell_train.data.classes import numbered_as
from drawwell_train.data.dataset import Limits, load
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.networks.base import Discriminator, lowest, to_images
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step.batches import held_out_rows
from drawwell_train.step.state import load_discriminator

MAX_DIFFERENCE = 1e-3
"""From torch's logits, as a share of their root mean square where that is above 1: float32 keeps no fixed number of digits after the
point.
"""
LEAST_HELD_OUT = 10
"""A place among fewer pictures says nothing."""
DRAWN_PICTURES = 1024
LEARNED_PICTURES = 5000
"""Of the images that the discriminator learned from, to learn its classes."""

_SEED, _BATCH_PICTURES = 0, 64
_IN_COMPANY = (
    "the discriminator compares images with each other; here each is judged as if among real ones of the usual variety"
)


@dataclass(frozen=True)
class Pictures:
    """Images uint8 ``[N, H, W, C]``, and their labels int64 ``[N]`` where there are classes."""

    images: Images
    labels: npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class RealPictures:
    """The images of a run's data: those that were held out from its discriminator, and some of those that it learned from."""

    held_out: Pictures
    learned: Pictures


def real_pictures(config: TrainConfig, data: str | None = None) -> RealPictures:
    """Return the real images of a run.

    ``data`` is where they lie now, by default where they lay in training. Raises ``NotJudgedError`` if they are not there.
    """
    found = _load(config, data or config.data)
    chosen = held_out_rows(len(found.images), config.seed).numpy()
    if len(chosen) < LEAST_HELD_OUT:
        raise NotJudgedError(
            f"the run held out {len(chosen)} of its {len(found.images):,} images, and {LEAST_HELD_OUT} are needed to compare with"
        )
    rest = np.setdiff1d(np.arange(len(found.images)), chosen)
    learned = np.sort(np.random.default_rng(_SEED).permutation(rest)[:LEARNED_PICTURES])
    return RealPictures(_taken(found, config, chosen), _taken(found, config, learned))


def _load(config: TrainConfig, source: str) -> ImageData:
    """The data of a run, its classes numbered as the run has them."""
    try:
        limits = Limits(config.max_bad, config.max_megapixels)
        found = load(source, config.size, config.channels, config.sizes, limits=limits)
    except DataError as error:
        raise NotJudgedError(
            f"it is compared with real images that were held out, and {error}; name the data with --data"
        ) from error
    if config.conditional:
        found = numbered_as(found, config.class_names) or found
    if found.sha256(config.conditional) != config.data_sha256:
        raise NotJudgedError(f"{source} holds other images than the run learned from; name the data with --data")
    return found


def _taken(data: ImageData, config: TrainConfig, rows: npt.NDArray[np.int64]) -> Pictures:
    return Pictures(data.images[rows], data.labels[rows] if config.conditional and data.labels is not None else None)


def drawn_by(engine: Engine) -> Pictures:
    """Return images that the exported generator draws."""
    batch = engine.generate(_SEED, DRAWN_PICTURES)
    return Pictures(batch.images, batch.labels)


def export(checkpoint: Checkpoint, real: RealPictures, drawn: Pictures, generator: str, name: str, out: Path) -> Judge:
    """Write the discriminator of ``checkpoint`` and return it opened.

    Args:
        checkpoint: Of the run.
        real: The real images of the run.
        drawn: Images of the generator.
        generator: The digest of the generator's file.
        name: For the card.
        out: The file to write.

    Raises:
        NotJudgedError: It cannot judge a single picture.
        ParityError: Its logits are too far from torch's.
        DrawwellError: ``out`` cannot be written.
    """
    config = checkpoint.config
    discriminator = load_discriminator(config, checkpoint.tensors)
    network = for_one_picture(discriminator, config, *_tensors(real.held_out, config))
    file = _Graph(graph_of(network, config, _probe(network, config, real.learned)))
    labelled = real.held_out.labels is not None
    card = DiscriminatorCard(
        name=name,
        height=config.size,
        width=config.size,
        channels=config.channels,
        generator=generator,
        training=training_of(checkpoint),
        loss=config.loss,
        real_target=1 - config.label_smoothing if config.loss in CROSS_ENTROPIES else None,
        parity=_prove(network, file, config, real.held_out, drawn),
        known_logits=_known(file, (config.size, config.size, config.channels), len(config.class_names)),
        scale=LogitScale.of(file.logits(real.held_out), file.logits(drawn)),
        class_names=config.class_names,
        named_class_scale=_named_class_scale(file, real.held_out, drawn) if labelled else None,
        class_accuracy=_accuracy(file, real.held_out) if labelled else None,
        remarks=(_IN_COMPANY,) if config.minibatch_std else (),
    )
    return write_checked(seal(file.model, card), out, Judge)


def _probe(network: Discriminator, config: TrainConfig, learned: Pictures) -> nn.Linear | None:
    pixels, labels = _tensors(learned, config)
    return None if labels is None else fit_probe(features_of(network, pixels), labels, len(config.class_names))


def _tensors(pictures: Pictures, config: TrainConfig) -> tuple[Tensor, Tensor | None]:
    """As the discriminator takes them."""
    pixels = to_images(torch.from_numpy(pictures.images), lowest(config.sigmoid))
    return pixels, None if pictures.labels is None else torch.from_numpy(pictures.labels)


class _Graph:
    """A graph on ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(cores()))

    def rows(self, pictures: Pictures, batch: int = _BATCH_PICTURES) -> Logits:
        """The logit, and with classes the scores of all classes: float32 ``[N, 1 + K]``."""
        images, labels = pictures.images, pictures.labels
        pieces = []
        for rows in slices(len(images), batch):
            feeds = {"images": images[rows], **({} if labels is None else {"label": labels[rows]})}
            logit, *scores = self._session.run(None, feeds)
            pieces.append(np.concatenate([logit[:, None], *scores], 1))
        return np.concatenate(pieces)

    def logits(self, pictures: Pictures, batch: int = _BATCH_PICTURES) -> Logits:
        """Under the pictures' labels: float32 ``[N]``."""
        return self.rows(pictures, batch)[:, 0]


def _named_class_scale(file: _Graph, real: Pictures, drawn: Pictures) -> LogitScale:
    """Of the logits under the classes that the graph names itself."""
    return LogitScale.of(*(file.logits(Pictures(some.images, np.full(len(some.images), -1))) for some in (real, drawn)))


def _accuracy(file: _Graph, real: Pictures) -> float:
    return float((file.rows(real)[:, 1:].argmax(1) == real.labels).mean())


def _prove(network: Discriminator, file: _Graph, config: TrainConfig, real: Pictures, drawn: Pictures) -> LogitParity:
    """Compare the file's logits with torch's. Raises ``ParityError`` beyond ``MAX_DIFFERENCE``."""
    largest, squares = 0.0, list[npt.NDArray[np.float64]]()
    for pictures in (real, drawn):
        expected = by_torch(network, config, pictures).astype(np.float64)
        squares.append(expected**2)
        largest = max(largest, *(np.abs(file.logits(pictures, batch) - expected).max() for batch in BATCH_SIZES))
    allowed = MAX_DIFFERENCE * max(1.0, float(np.sqrt(np.concatenate(squares).mean())))
    if not largest <= allowed:
        raise ParityError(
            f"the logits of the exported discriminator differ from torch's by up to {largest:.2g}, and {allowed:.2g} is allowed, "
            "so no file was written"
        )
    return LogitParity(len(real.images) + len(drawn.images), BATCH_SIZES, float(largest))


@torch.no_grad()
def by_torch(network: Discriminator, config: TrainConfig, pictures: Pictures) -> Logits:
    """Return torch's logits under the pictures' labels, float32 ``[N]``."""
    pixels, labels = _tensors(pictures, config)
    logits = [
        network(pixels[rows], None if labels is None else labels[rows]) for rows in slices(len(pixels), _BATCH_PICTURES)
    ]
    return torch.cat(logits).numpy()


def _known(file: _Graph, shape: tuple[int, int, int], classes: int) -> KnownLogits:
    pictures = Pictures(known_pictures(shape), known_labels(classes))
    return KnownLogits(tuple(map(tuple, file.rows(pictures).tolist())), MAX_DIFFERENCE)
