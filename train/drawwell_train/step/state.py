"""All that the next step depends on, and its conversion to a flat dictionary of tensors and back."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drawwell_train.config import TrainConfig
from drawwell_train.networks.architectures import build_discriminator, build_generator
from drawwell_train.networks.base import Discriminator, GeneratorNetwork
from drawwell_train.networks.batch_norm import synchronise_batch_norms


@dataclass
class TrainState:
    """G, D, the EMA of G, both optimizers and the number of steps done. The random state is torch's own; the place in the data follows
    from the step.
    """

    generator: GeneratorNetwork
    discriminator: Discriminator
    ema: GeneratorNetwork
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    step: int = 0

    def networks(self) -> dict[str, nn.Module]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "averaged": self.ema,
        }  # as checkpoints name it

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimizer_g": self.optimizer_g, "optimizer_d": self.optimizer_d}


def build(config: TrainConfig, device: torch.device) -> TrainState:
    """A fresh state, a pure function of ``config.seed``."""
    torch.manual_seed(config.seed)
    generator = build_generator(config)
    discriminator = build_discriminator(config)
    for network in (generator, discriminator):
        synchronise_batch_norms(network)
    generator, discriminator = (net.to(device, memory_format=torch.channels_last) for net in (generator, discriminator))  # type: ignore[call-overload]
    ema = copy.deepcopy(generator).eval().requires_grad_(False)
    optimizer_g = _optimizer(generator, config, config.learning_rate, config.decay_g * config.g_steps)
    rate_d = config.learning_rate * config.discriminator_rate
    optimizer_d = _optimizer(discriminator, config, rate_d, config.decay_d * config.d_steps)
    return TrainState(generator, discriminator, ema, optimizer_g, optimizer_d)


def _optimizer(network: nn.Module, config: TrainConfig, learning_rate: float, decay: float) -> torch.optim.Optimizer:
    group = {"params": network.parameters(), "initial_lr": learning_rate, "decay": decay}
    if config.optimizer == "adam":
        return torch.optim.Adam([group], learning_rate, (config.beta1, config.beta2), config.epsilon, fused=True)
    return torch.optim.RMSprop([group], learning_rate, config.rho, config.epsilon)


def to_tensors(state: TrainState) -> dict[str, Tensor]:
    """Every tensor of the state by a dotted name, on the CPU and contiguous."""
    tensors = {"random.cpu": torch.get_rng_state()}
    if next(state.generator.parameters()).is_cuda:
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    for name, network in state.networks().items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimizer in state.optimizers().items():
        for position, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{position}.{key}": value for key, value in moments.items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def restore(state: TrainState, tensors: Mapping[str, Tensor], step: int) -> None:
    """The inverse of ``to_tensors``, into a state that was built from the same configuration."""
    for name, network in state.networks().items():
        network.load_state_dict(_below(tensors, name))
    for name, optimizer in state.optimizers().items():
        _restore_optimizer(optimizer, _below(tensors, name))
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and next(state.generator.parameters()).is_cuda:
        torch.cuda.set_rng_state(tensors["random.cuda"])
    state.step = step


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {position: {} for position in range(len(parameters))}
    for name, tensor in tensors.items():
        position, key = name.split(".")
        like = parameters[int(position)]  # a fused step wants the moments laid out as their parameter is
        moments[int(position)][key] = (
            torch.empty_like(like) if tensor.shape == like.shape else torch.empty_like(tensor)
        ).copy_(tensor)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no tensor of floats holds NaN or infinity."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values() if tensor.is_floating_point())


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of all tensors, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def load_ema(config: TrainConfig, tensors: Mapping[str, Tensor]) -> GeneratorNetwork:
    """The EMA generator in the tensors of a checkpoint, in evaluation mode and without gradients."""
    generator = build_generator(config)
    generator.load_state_dict(_below(tensors, "averaged"))
    return generator.eval().requires_grad_(False)


def load_discriminator(config: TrainConfig, tensors: Mapping[str, Tensor]) -> Discriminator:
    """The discriminator in the tensors of a checkpoint, in evaluation mode and without gradients."""
    discriminator = build_discriminator(config)
    discriminator.load_state_dict(_below(tensors, "discriminator"))
    return discriminator.eval().requires_grad_(False)
