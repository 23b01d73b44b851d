"""A trained discriminator as a sealed file that judges pictures one by one."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from drawwell.engine.cores import cores
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
from drawwell.pieces import slices
from drawwell_export.class_probe import fit_probe
from drawwell_export.judging import NotJudgedError, features_of, for_one_picture, graph_of
from drawwell_export.parity import BATCH_SIZES, ParityError
from drawwell_export.parts import training_of
from drawwell_export.real_pictures import BATCH_PICTURES, Pictures, RealPictures
from drawwell_export.write import write_checked
from drawwell_train.config import TrainConfig
from drawwell_train.networks.base import Discriminator
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step.state import load_discriminator

MAX_DIFFERENCE = 1e-3
"""From torch's logits, as a share of their root mean square where that is above 1: float32 keeps no fixed number of digits after the
point.
"""

_IN_COMPANY = (
    "the discriminator compares images with each other; here each is judged as if among real ones of the usual variety"
)


def export(
    checkpoint: Checkpoint, real: RealPictures, drawn: Pictures, generator: str, name: str, out: Path, members: int = 1
) -> Judge:
    """Write the discriminator of ``checkpoint`` and return it opened.

    Args:
        checkpoint: Of the run.
        real: The real images of the run.
        drawn: Images of the generator.
        generator: The digest of the generator's file.
        name: For the card.
        out: The file to write.
        members: The generators of the mixture whose first one is of ``checkpoint``.

    Raises:
        NotJudgedError: It cannot judge a single picture.
        ParityError: Its logits are too far from torch's.
        DrawwellError: ``out`` cannot be written.
    """
    config = checkpoint.config
    discriminator = load_discriminator(config, checkpoint.tensors)
    network = for_one_picture(discriminator, config, real.held_out.batches)
    _check_finite(network, config, real.held_out, drawn)
    probe = _probe(network, config, real.learned)
    file = _Graph(graph_of(network, config, probe))
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
        parity=_prove(network, probe, file, config, real.held_out, drawn),
        known_logits=_known(file, (config.size, config.size, config.channels), len(config.class_names)),
        scale=LogitScale.of(file.logits(real.held_out), file.logits(drawn)),
        class_names=config.class_names,
        named_class_scale=_named_class_scale(file, real.held_out, drawn) if labelled else None,
        class_accuracy=_accuracy(file, real.held_out) if labelled else None,
        remarks=(*([_IN_COMPANY] if config.minibatch_std else []), *([_of_the_first(members)] if members > 1 else [])),
    )
    return write_checked(seal(file.model, card), out, Judge)


def _of_the_first(members: int) -> str:
    return f"the discriminator is the one of the first of the {members} generators of a mixture; the drawn pictures are those of all"


def _check_finite(network: Discriminator, config: TrainConfig, *several: Pictures) -> None:
    for pictures in several:
        if not np.isfinite(by_torch(network, None, config, pictures)).all():
            raise NotJudgedError(
                "the run's discriminator computes logits that are no finite numbers: its training diverged"
            )


def _probe(network: Discriminator, config: TrainConfig, learned: Pictures) -> nn.Linear | None:
    if learned.labels is None:
        return None
    features = torch.cat([features_of(network, pixels) for pixels, _ in learned.batches(config)])
    return fit_probe(features, torch.from_numpy(learned.labels), len(config.class_names))


class _Graph:
    """A graph on ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(cores()))

    def rows(self, pictures: Pictures, batch: int = BATCH_PICTURES) -> Logits:
        """The logit, and with classes the scores of all classes: float32 ``[N, 1 + K]``."""
        images, labels = pictures.images, pictures.labels
        pieces = []
        for rows in slices(len(images), batch):
            feeds = {"images": images[rows], **({} if labels is None else {"label": labels[rows]})}
            logit, *scores = self._session.run(None, feeds)
            pieces.append(np.concatenate([logit[:, None], *scores], 1))
        return np.concatenate(pieces)

    def logits(self, pictures: Pictures, batch: int = BATCH_PICTURES) -> Logits:
        """Under the pictures' labels: float32 ``[N]``."""
        return self.rows(pictures, batch)[:, 0]


def _named_class_scale(file: _Graph, real: Pictures, drawn: Pictures) -> LogitScale:
    """Of the logits under the classes that the graph names itself."""
    return LogitScale.of(*(file.logits(Pictures(some.images, np.full(len(some.images), -1))) for some in (real, drawn)))


def _accuracy(file: _Graph, real: Pictures) -> float:
    return float((file.rows(real)[:, 1:].argmax(1) == real.labels).mean())


def _prove(
    network: Discriminator, probe: nn.Linear | None, file: _Graph, config: TrainConfig, *several: Pictures
) -> LogitParity:
    """Compare the file's logits and class scores with torch's. Raises ``ParityError`` beyond ``MAX_DIFFERENCE``."""
    expected = [by_torch(network, probe, config, pictures).astype(np.float64) for pictures in several]
    difference = np.max(
        [
            np.abs(file.rows(pictures, batch) - rows).max(0)
            for pictures, rows in zip(several, expected, strict=True)
            for batch in BATCH_SIZES
        ],
        0,
    )  # [1 + K]
    _check_near(difference[:1], np.concatenate(expected)[:, :1], "logits")
    if probe is not None:
        _check_near(difference[1:], np.concatenate(expected)[:, 1:], "class scores")
    return LogitParity(sum(len(pictures.images) for pictures in several), BATCH_SIZES, float(difference[0]))


def _check_near(difference: npt.NDArray[np.float64], expected: npt.NDArray[np.float64], what: str) -> None:
    """Raise ``ParityError`` for a ``difference`` of more than ``MAX_DIFFERENCE``."""
    allowed = MAX_DIFFERENCE * max(1.0, float(np.sqrt((expected**2).mean())))
    if not (largest := difference.max()) <= allowed:
        raise ParityError(
            f"the {what} of the exported discriminator differ from torch's by up to {largest:.2g}, and {allowed:.2g} is allowed, "
            "so no file was written"
        )


@torch.no_grad()
def by_torch(network: Discriminator, probe: nn.Linear | None, config: TrainConfig, pictures: Pictures) -> Logits:
    """Return torch's logits under the pictures' labels, and with a ``probe`` its class scores: float32 ``[N, 1 + K]``."""
    rows = []
    for pixels, labels in pictures.batches(config):
        scores = [] if probe is None else [probe(features_of(network, pixels))]
        rows.append(torch.cat([network(pixels, labels)[:, None], *scores], 1))
    return torch.cat(rows).numpy()


def _known(file: _Graph, shape: tuple[int, int, int], classes: int) -> KnownLogits:
    pictures = Pictures(known_pictures(shape), known_labels(classes))
    return KnownLogits(tuple(map(tuple, file.rows(pictures).tolist())), MAX_DIFFERENCE)
