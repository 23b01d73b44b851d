"""A trained discriminator as a sealed file that judges pictures one by one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

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
    known_pictures,
)
from drawwell.files.discriminator_file import seal
from drawwell.generator import Images
from drawwell.pieces import slices
from drawwell_export.judging import NotJudgedError, for_one_picture, graph_of
from drawwell_export.parity import BATCH_SIZES, ParityError
from drawwell_export.parts import training_of
from drawwell_export.write import write_checked
from drawwell_train.config import TrainConfig
from drawwell_train.data.classes import numbered_as
from drawwell_train.data.dataset import Limits, load
from drawwell_train.data.images import DataError
from drawwell_train.networks.base import Discriminator, lowest, to_images
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step.batches import held_out_rows
from drawwell_train.step.state import load_discriminator

MAX_DIFFERENCE = 1e-3
"""From torch's logit, as a share of it where it is above 1: float32 keeps no fixed number of digits after the point."""
LEAST_HELD_OUT = 10
"""A place among fewer pictures says nothing."""
DRAWN_PICTURES = 1024

_SEED, _BATCH_PICTURES = 0, 64
_IN_COMPANY = (
    "the discriminator compares images with each other; here each is judged as if among real ones of the usual variety"
)


@dataclass(frozen=True)
class Pictures:
    """Images uint8 ``[N, H, W, C]``, and their labels int64 ``[N]`` where there are classes."""

    images: Images
    labels: npt.NDArray[np.int64] | None


def held_out(config: TrainConfig, data: str | None = None) -> Pictures:
    """Return the real images that the run's discriminator never learned from.

    ``data`` is where they lie now, by default where they lay in training. Raises ``NotJudgedError`` if they are not there.
    """
    source = data or config.data
    try:
        found = load(
            source, config.size, config.channels, config.sizes, limits=Limits(config.max_bad, config.max_megapixels)
        )
    except DataError as error:
        raise NotJudgedError(
            f"it is compared with images that were held out, and {error}; name them with --data"
        ) from error
    if config.conditional:
        found = numbered_as(found, config.class_names) or found
    if found.sha256(config.conditional) != config.data_sha256:
        raise NotJudgedError(f"{source} holds other images than the run learned from; name those with --data")
    rows = held_out_rows(len(found.images), config.seed).numpy()
    if len(rows) < LEAST_HELD_OUT:
        raise NotJudgedError(
            f"the run held out {len(rows)} of its {len(found.images):,} images, and {LEAST_HELD_OUT} are needed to compare with"
        )
    return Pictures(found.images[rows], found.labels[rows] if config.conditional and found.labels is not None else None)


def drawn_by(engine: Engine) -> Pictures:
    """Return images that the exported generator draws."""
    batch = engine.generate(_SEED, DRAWN_PICTURES)
    return Pictures(batch.images, batch.labels)


def export(checkpoint: Checkpoint, real: Pictures, drawn: Pictures, generator: str, name: str, out: Path) -> Judge:
    """Write the discriminator of ``checkpoint`` and return it opened.

    Args:
        checkpoint: Of the run.
        real: Real images that it never learned from.
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
    pixels = to_images(torch.from_numpy(real.images), lowest(config.sigmoid))
    labels = None if real.labels is None else torch.from_numpy(real.labels)
    network = for_one_picture(load_discriminator(config, checkpoint.tensors), config, pixels, labels)
    model = graph_of(network, config)
    file = _Graph(model, len(config.class_names))
    scales = _scales(file, real, drawn)
    card = DiscriminatorCard(
        name=name,
        height=config.size,
        width=config.size,
        channels=config.channels,
        generator=generator,
        training=training_of(checkpoint),
        loss=config.loss,
        real_target=1 - config.label_smoothing if config.loss in CROSS_ENTROPIES else None,
        parity=_prove(network, file, config, real, drawn),
        known_logits=_known(file, (config.size, config.size, config.channels)),
        class_names=config.class_names,
        remarks=(_IN_COMPANY,) if config.minibatch_std else (),
        **scales,
    )
    return write_checked(seal(model, card), out, Judge)


class _Graph:
    """A graph on ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto, classes: int) -> None:
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(cores()))
        self._classes = classes

    def logits(self, images: Images, batch: int = _BATCH_PICTURES) -> Logits:
        """Under every class: float32 ``[N, K]``, without classes ``[N, 1]``."""
        return np.concatenate([self._run("logits", images[rows], None) for rows in slices(len(images), batch)])

    def own(self, pictures: Pictures, batch: int = _BATCH_PICTURES) -> Logits:
        """Under the pictures' own labels: float32 ``[N]``."""
        labels = pictures.labels
        rows = slices(len(pictures.images), batch)
        return np.concatenate(
            [self._run("logit", pictures.images[one], None if labels is None else labels[one])[:, 0] for one in rows]
        )

    def _run(self, output: str, images: Images, labels: npt.NDArray[np.int64] | None) -> Logits:
        feeds = {"images": images}
        if self._classes:
            feeds["label"] = np.zeros(len(images), np.int64) if labels is None else labels  # type: ignore[assignment]
        found: Logits = self._session.run([output if self._classes else "logit"], feeds)[0]
        return found.reshape(len(images), -1)


def _scales(file: _Graph, real: Pictures, drawn: Pictures) -> dict[str, LogitScale | float]:
    """The fields of the card that place a logit."""
    own = LogitScale.of(file.own(real), file.own(drawn))
    if real.labels is None:
        return {"scale": own}
    every = file.logits(real.images)
    best = LogitScale.of(every.max(1), file.logits(drawn.images).max(1))
    accuracy = float((every.argmax(1) == real.labels).mean())
    return {"scale": own, "best_class_scale": best, "class_accuracy": accuracy}


def _prove(network: Discriminator, file: _Graph, config: TrainConfig, real: Pictures, drawn: Pictures) -> LogitParity:
    """Compare the file's logits with torch's. Raises ``ParityError`` beyond ``MAX_DIFFERENCE``."""
    largest = share = 0.0
    for pictures in (real, drawn):
        expected = by_torch(network, config, pictures)
        for batch in BATCH_SIZES:
            found = np.abs(file.own(pictures, batch).astype(np.float64) - expected)
            largest, share = max(largest, found.max()), max(share, (found / np.maximum(1, np.abs(expected))).max())
    if not share <= MAX_DIFFERENCE:
        raise ParityError(
            f"the logits of the exported discriminator differ from torch's by up to {largest:.2g}, more than "
            f"{MAX_DIFFERENCE:g} of the logit, so no file was written"
        )
    return LogitParity(len(real.images) + len(drawn.images), BATCH_SIZES, float(largest))


@torch.no_grad()
def by_torch(network: Discriminator, config: TrainConfig, pictures: Pictures) -> Logits:
    """Return torch's logits under the pictures' own labels, float32 ``[N]``."""
    black, labels = lowest(config.sigmoid), pictures.labels
    logits = [
        network(
            to_images(torch.from_numpy(pictures.images[rows]), black),
            None if labels is None else torch.from_numpy(labels[rows]),
        )
        for rows in slices(len(pictures.images), _BATCH_PICTURES)
    ]
    return torch.cat(logits).numpy()


def _known(file: _Graph, shape: tuple[int, int, int]) -> KnownLogits:
    rows = file.logits(known_pictures(shape)).tolist()
    return KnownLogits(tuple(map(tuple, rows)), MAX_DIFFERENCE)
