"""A small convolutional classifier, trained in the same way on any set of images."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drawwell.generator import Images
from drawwell.pieces import pieces
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.neighbours import pooled

IMAGES_SEEN = 300_000
"""Five times 60,000, for every number of images: a small set gets as many steps as a large one."""
BATCH_IMAGES = 128
_LEARNING_RATE, _WEIGHT_DECAY = 0.1, 5e-4
_SHIFT_PIXELS = 2
_CLASSIFIED_AT_ONCE = 1000


@dataclass(frozen=True)
class Scores:
    """What a classifier says of ``N`` images."""

    log_probabilities: npt.NDArray[np.float32]
    """float32 ``[N, classes]``, in nats."""
    features: npt.NDArray[np.float32]
    """float32 ``[N, 128]``, the inputs of the last layer."""


class Classifier:
    """A network that names the class of an image. On one machine the same images and seed give the same network.

    It trains for ``steps`` steps of ``BATCH_IMAGES`` images with SGD and one rise and fall of the learning rate (Smith 2018).
    ``images_seen`` is the number of images of all steps, repeats included; by default ``IMAGES_SEEN``. ``network`` makes another
    network than the usual one from channels and classes. With ``flip``, half of the batches are mirrored.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        seed: int,
        images_seen: int | None = None,
        network: Callable[[int, int], nn.Module] | None = None,
        flip: bool = False,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network: Any = (network or _network)(channels, classes)
        self._flip = flip
        self._chance = torch.Generator().manual_seed(seed)
        self._bfloat16 = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        self.steps = max(1, (images_seen or IMAGES_SEEN) // BATCH_IMAGES)
        self._optimizer = torch.optim.SGD(
            self._network.parameters(), _LEARNING_RATE, 0.9, nesterov=True, weight_decay=_WEIGHT_DECAY
        )
        self._rates = torch.optim.lr_scheduler.OneCycleLR(self._optimizer, _LEARNING_RATE, self.steps)

    def learn(self, images: Images, labels: LabelArray) -> None:
        """Take all steps on images uint8 ``[N, H, W, C]`` and labels int64 ``[N]``, in a new order in every epoch."""
        for rows in self._rows(len(images)):
            self.step(images[rows], labels[rows])

    def step(self, images: Images, labels: LabelArray) -> None:
        """Take one step on a batch: images uint8 ``[N, H, W, C]``, labels int64 ``[N]``."""
        self._network.train()
        logits = self._logits(self._flipped(self._shifted(_to_floats(images))))
        loss = F.cross_entropy(logits, torch.from_numpy(labels))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._rates.step()

    def classes_of(self, images: Images) -> LabelArray:
        """Return the likeliest class of each of ``images``, uint8 ``[N, H, W, C]``, as int64 ``[N]``."""
        self._network.eval()
        with torch.inference_mode():
            batches = pieces(images, _CLASSIFIED_AT_ONCE)
            classes = [self._logits(_to_floats(batch)).argmax(1).numpy() for batch in batches]
        return np.concatenate(classes).astype(np.int64)

    def scores_of(self, images: Images) -> Scores:
        """Return the log-probabilities and the features of ``images``, uint8 ``[N, H, W, C]``.

        Their last bits depend on the processor.
        """
        self._network.eval()
        with torch.inference_mode():
            found = [self._features_and_logits(_to_floats(batch)) for batch in pieces(images, _CLASSIFIED_AT_ONCE)]
        features, logits = (torch.cat(tensors) for tensors in zip(*found, strict=True))
        return Scores(logits.log_softmax(1).numpy(), features.numpy())

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the names and values of all weights, 64 hex digits."""
        total = hashlib.sha256()
        for name, values in sorted(self._network.state_dict().items()):
            total.update(name.encode())
            total.update(values.contiguous().numpy().tobytes())
        return total.hexdigest()

    def accuracy(self, images: Images, labels: LabelArray) -> float:
        """Return the share of ``images`` whose class it names correctly."""
        return float((self.classes_of(images) == labels).mean())

    def weights(self) -> dict[str, Any]:
        """Return the tensors of the network, for ``load_weights``."""
        weights: dict[str, Any] = self._network.state_dict()
        return weights

    def load_weights(self, weights: dict[str, Any]) -> None:
        """Take the tensors of a classifier of the same network, which was trained before. Raises ``RuntimeError`` for others."""
        self._network.load_state_dict(weights)

    def _logits(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            logits: Tensor = self._network(images)
        return logits.float()

    def _features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            features = self._network[:-1](images)
            logits = self._network[-1](features)
        return features.float(), logits.float()

    def _rows(self, count: int) -> Iterator[npt.NDArray[np.int64]]:
        order = np.empty(0, np.int64)
        for _ in range(self.steps):
            while len(order) < BATCH_IMAGES:
                order = np.concatenate([order, torch.randperm(count, generator=self._chance).numpy()])
            yield order[:BATCH_IMAGES]
            order = order[BATCH_IMAGES:]

    def _shifted(self, images: Tensor) -> Tensor:
        """The batch moved by up to two pixels, so that the network does not learn positions."""
        down, right = torch.randint(0, 2 * _SHIFT_PIXELS + 1, (2,), generator=self._chance).tolist()
        height, width = images.shape[2:]
        return F.pad(images, 4 * (_SHIFT_PIXELS,), mode="replicate")[:, :, down : down + height, right : right + width]

    def _flipped(self, images: Tensor) -> Tensor:
        """Without ``flip`` no random number is drawn: classifiers of earlier versions stay the same."""
        if self._flip and bool(torch.randint(0, 2, (), generator=self._chance)):
            return images.flip(3)
        return images


def _network(channels: int, classes: int) -> nn.Sequential:
    network = nn.Sequential(
        *_block(channels, 32),
        nn.MaxPool2d(2),
        *_block(32, 64),
        nn.MaxPool2d(2),
        *_block(64, 128),
        *_block(128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, classes),
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def _to_floats(images: Images) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return pooled(pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
