"""A discriminator as a graph: from ``images`` uint8 ``[N, H, W, C]`` to ``logit`` float32 ``[N]``.

With classes it also takes ``label`` int64 ``[N]``, -1 for the class that the graph names itself, and gives ``class_scores`` float32
``[N, K]``, of which the class with the highest score is the most likely one.

In evaluation a batch norm has fixed statistics and a spectral norm a fixed factor, so both look at each picture alone.
"""

import copy
from collections.abc import Callable, Iterator

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from drawwell.errors import DrawwellError
from drawwell_export.graph import portable, trace
from drawwell_export.rewrites import fold_batch_norms
from drawwell_train.config import TrainConfig
from drawwell_train.networks.base import Discriminator, lowest, to_images
from drawwell_train.networks.sngan import MinibatchStd
from drawwell_train.presets import STD_GROUP


class NotJudgedError(DrawwellError):
    """There is no discriminator file for this run; the message says why."""


class FixedDeviation(nn.Module):
    """``MinibatchStd`` for a picture alone: the deviation of real groups, on average, in place of its own group's."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self._deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C + 1, H, W]``."""
        return torch.cat([x, torch.full_like(x[:, :1], self._deviation)], 1)


Batches = Iterator[tuple[Tensor, Tensor | None]]
"""Images float32 ``[n, C, S, S]``, and labels int64 ``[n]`` where there are classes."""


def for_one_picture(
    network: Discriminator, config: TrainConfig, real: Callable[[TrainConfig], Batches]
) -> Discriminator:
    """Return the discriminator as a function of one picture, in float32 and in evaluation mode.

    ``real`` gives the held-out real images. Raises ``NotJudgedError`` if there is no such function.
    """
    if config.pack > 1:
        raise NotJudgedError(
            f"the run's discriminator judges {config.pack} images together (--pack {config.pack}), and has no opinion of a single one"
        )
    alone = copy.deepcopy(network).float().cpu().eval().requires_grad_(False)
    for layer in list(alone.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    for block in list(alone.modules()):
        for name, layer in list(block.named_children()):
            if isinstance(layer, MinibatchStd):
                setattr(block, name, FixedDeviation(_deviation(alone, layer, real(config))))
    return alone.requires_grad_(False)


@torch.no_grad()
def _deviation(network: Discriminator, layer: MinibatchStd, real: Batches) -> float:
    """What the layer measures in groups of real images, on average."""
    measured: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _layer, _inputs, output: measured.append(output[:, -1]))
    for pixels, labels in real:
        if whole := len(pixels) - len(pixels) % STD_GROUP:
            network(pixels[:whole], None if labels is None else labels[:whole])
    hook.remove()
    return float(torch.cat(measured).mean())


@torch.no_grad()
def features_of(network: Discriminator, images: Tensor) -> Tensor:
    """The features of images, float ``[N, C, S, S]``, summed over places: float32 ``[N, F]``."""
    return network.features(images).flatten(2).sum(2)


class _Judging(nn.Module):
    """Pixels to logits, of a network whose pixels begin at ``black``. ``probe`` names the class of a picture."""

    def __init__(self, network: Discriminator, probe: nn.Linear | None, black: float) -> None:
        super().__init__()
        self.network, self.probe, self.black = network, probe, black

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        features = self.network.features(to_images(images, self.black))
        logit: Tensor = self.network.head(features).flatten()  # [N]
        if self.network.embedding is None or self.probe is None or label is None:
            return logit
        summed = features.flatten(2).sum(2)  # [N, F]
        scores = self.probe(summed)  # [N, K]
        chosen = torch.where(label < 0, scores.argmax(1), label)
        return logit + (self.network.embedding(chosen) * summed).sum(1), scores


def graph_of(network: Discriminator, config: TrainConfig, probe: nn.Linear | None) -> onnx.ModelProto:
    """Return the graph of a discriminator of single pictures, its batch norms folded. With classes it needs the ``probe``."""
    folded = fold_batch_norms(copy.deepcopy(network))
    assert isinstance(folded, Discriminator), "folding changes the inside of a network"
    module = _Judging(folded, probe, lowest(config.sigmoid)).eval()
    arguments = {"images": torch.zeros(2, config.size, config.size, config.channels, dtype=torch.uint8)}
    if probe is None:
        return portable(trace(module, arguments, ["logit"]))
    return portable(trace(module, arguments | {"label": torch.zeros(2, dtype=torch.int64)}, ["logit", "class_scores"]))
