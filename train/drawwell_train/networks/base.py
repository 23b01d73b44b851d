"""What all generators and all discriminators have in common, and how their numbers become pixels."""

import torch
from torch import Tensor, nn

from drawwell_train.config import TrainConfig

LABEL_DIM = 32
"""Length of the embedding of a class, which is joined to ``z``."""


class GeneratorNetwork(nn.Module):
    """Latents float32 ``[N, D]``, and labels int64 ``[N]`` where it has classes, to images float32 ``[N, C, S, S]``.

    A label becomes ``LABEL_DIM`` learned numbers, which are joined to ``z`` (Mirza and Osindero 2014), so that it costs
    a few columns of the stem. Images are in [``lowest``, 1]: the head ends in tanh or in a sigmoid.
    """

    latent_shape: tuple[int, ...] = ()
    """Dimensions that the stem wants after ``[N, D]``."""
    stem: nn.Sequential
    body: nn.Sequential
    head: nn.Sequential
    """The last layer, and its activation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, LABEL_DIM) if classes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, 0.2)  # as large as z, it let narrow generators ignore z

    @property
    def lowest(self) -> float:
        return lowest(isinstance(self.head[-1], nn.Sigmoid))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(label).to(z.dtype)], 1)  # [N, D + LABEL_DIM]
        x = self.stem(z.reshape(-1, z.shape[1], *self.latent_shape))
        images: Tensor = self.head(self.body(x))  # [N, C, S, S]
        return images


class Discriminator(nn.Module):
    """Images float32 ``[N, C, S, S]``, and labels int64 ``[N]`` where it has classes, to logits float32 ``[N]``.

    D(x) is a logit's sigmoid; of a Wasserstein critic the logit itself. With classes it is a projection discriminator
    (Miyato and Koyama 2018, equation 3): ``head(f) + <embedding(label), sum of f over places>`` with f = ``features(x)``.
    Packed, C is that of all images of a tuple together (Lin et al. 2018).
    """

    body: nn.Module
    head: nn.Module

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, features) if classes else None
        if self.embedding is not None:
            # it is multiplied by a sum, and should not outweigh the head
            nn.init.normal_(self.embedding.weight, 0.0, 0.02)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        features = self.features(images)
        logits: Tensor = self.head(features).flatten()  # [N]
        if self.embedding is not None:
            logits = logits + (self.embedding(label) * features.flatten(2).sum(2)).sum(1)
        return logits

    def features(self, images: Tensor) -> Tensor:
        """The input of the head: float32 ``[N, F, h, w]``."""
        features: Tensor = self.body(images)
        return features


def packed(images: Tensor, pack: int) -> Tensor:
    """Join each ``pack`` images that follow one another,
    ``[N, C, S, S]`` to ``[N / pack, pack * C, S, S]`` (Lin et al. 2018, section 2).
    """
    return images if pack == 1 else images.reshape(-1, pack * images.shape[1], *images.shape[2:])


def discriminate(network: Discriminator, config: TrainConfig, images: Tensor, labels: Tensor | None) -> Tensor:
    """D in the precision of the training: images float ``[N, C, S, S]`` and labels int64 ``[N]`` to logits float32 ``[N]``, packed
    ``[N / pack]``.
    """
    with autocast(config, images.device):
        logits: Tensor = network(packed(images, config.pack), labels)
    return logits.float()


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The context in which convolutions have the configuration's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")


def lowest(sigmoid: bool) -> float:
    """The value of black: 0 where the generator ends in a sigmoid, -1 where it ends in tanh."""
    return 0.0 if sigmoid else -1.0


def to_pixels(images: Tensor, black: float = -1.0) -> Tensor:
    """Floats ``[N, C, H, W]`` in [black, 1] to uint8 ``[N, H, W, C]``, scaled and rounded half to even; in the exported graph too."""
    return ((images - black) * (255 / (1 - black))).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def to_images(pixels: Tensor, black: float = -1.0) -> Tensor:
    """The inverse: uint8 ``[N, H, W, C]`` to float32 ``[N, C, H, W]`` in [black, 1]."""
    return pixels.permute(0, 3, 1, 2).float() * ((1 - black) / 255) + black
