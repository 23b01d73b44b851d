"""From a configuration to its two networks."""

from torch import nn

from drawwell_train.config import TrainConfig
from drawwell_train.networks.base import Discriminator, GeneratorNetwork
from drawwell_train.networks.dcgan import DcganDiscriminator, DcganGenerator
from drawwell_train.networks.lecture_notes import (
    CnnDiscriminator,
    CnnGenerator,
    DeepCnnDiscriminator,
    DeepCnnGenerator,
    MlpDiscriminator,
    MlpGenerator,
)
from drawwell_train.networks.sngan import SnganDiscriminator

_GENERATORS = {
    "mlp": MlpGenerator,
    "cnn": CnnGenerator,
    "deep-cnn": DeepCnnGenerator,
    "dcgan": DcganGenerator,
    "sngan": DcganGenerator,
}
_DISCRIMINATORS = {"mlp": MlpDiscriminator, "cnn": CnnDiscriminator, "deep-cnn": DeepCnnDiscriminator}


def build_generator(config: TrainConfig) -> GeneratorNetwork:
    """A fresh generator, from torch's random state."""
    build = _GENERATORS[config.architecture]
    return build(config.size, config.channels, config.latent_dim, config.width, len(config.class_names))


def build_discriminator(config: TrainConfig) -> Discriminator:
    """A fresh discriminator, from torch's random state."""
    width, classes = config.d_width or config.width, len(config.class_names)
    shape = config.size, config.channels * config.pack, width, classes
    batch_norm = config.d_norm == "batch"
    if config.architecture == "dcgan":
        network: Discriminator = DcganDiscriminator(*shape, batch_norm)
    elif config.architecture == "sngan":
        network = SnganDiscriminator(*shape, batch_norm, config.minibatch_std)
    else:
        network = _DISCRIMINATORS[config.architecture](*shape)
    return _with_spectral_norm(network) if config.d_norm == "spectral" else network


def _with_spectral_norm(network: Discriminator) -> Discriminator:
    """Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1, on every layer with weights."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.utils.parametrizations.spectral_norm(layer)
    return network
