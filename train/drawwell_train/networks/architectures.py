"""From a configuration to its two networks."""

from torch import nn

from drawwell_train.config import TrainConfig, recipe_of
from drawwell_train.networks.dcgan import DcganDiscriminator, DcganGenerator
from drawwell_train.networks.lecture_notes import (
    CnnDiscriminator,
    CnnGenerator,
    DeepCnnDiscriminator,
    DeepCnnGenerator,
    MlpDiscriminator,
    MlpGenerator,
)
from drawwell_train.networks.networks import Discriminator, Generator
from drawwell_train.networks.sngan import SnganDiscriminator

_GENERATORS = {
    "mlp": MlpGenerator,
    "cnn": CnnGenerator,
    "deep-cnn": DeepCnnGenerator,
    "dcgan": DcganGenerator,
    "sngan": DcganGenerator,
}
_DISCRIMINATORS = {"mlp": MlpDiscriminator, "cnn": CnnDiscriminator, "deep-cnn": DeepCnnDiscriminator}


def build_generator(config: TrainConfig) -> Generator:
    """A fresh generator of a resolved configuration, from torch's random state."""
    size, channels = _resolved(config)
    recipe = recipe_of(config)
    build = _GENERATORS[recipe.architecture]
    return build(size, channels, config.latent_dim, recipe.width, len(config.class_names))


def build_discriminator(config: TrainConfig) -> Discriminator:
    """A fresh discriminator of a resolved configuration, from torch's random state."""
    size, channels = _resolved(config)
    recipe, classes = recipe_of(config), len(config.class_names)
    shape = size, channels * config.pack, recipe.d_width or recipe.width, classes
    batch_norm = recipe.d_norm == "batch"
    if recipe.architecture == "dcgan":
        network: Discriminator = DcganDiscriminator(*shape, batch_norm)
    elif recipe.architecture == "sngan":
        network = SnganDiscriminator(*shape, batch_norm, config.minibatch_std)
    else:
        network = _DISCRIMINATORS[recipe.architecture](*shape)
    return _with_spectral_norm(network) if recipe.d_norm == "spectral" else network


def _with_spectral_norm(network: Discriminator) -> Discriminator:
    """Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1, on every layer with weights."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.utils.parametrizations.spectral_norm(layer)
    return network


def _resolved(config: TrainConfig) -> tuple[int, int]:
    assert config.size is not None and config.channels is not None, "the configuration is not resolved"
    return config.size, config.channels
