"""Images a second of whole training steps, beside a plain loop with the same networks and the same batch.

Plain follows the official PyTorch DCGAN example: float32, contiguous tensors, a ``DataLoader`` that makes each image ready
as it is taken, a pass of D over real images and one over generated ones with a backward pass each, one more for G that
computes the gradients of D's weights too, and no average of G. Ours looks at its numbers when a line is due, as training
does. Each contender has a process of its own (see ``race``).
``--device cuda`` measures there; a step then ends when the device has done it. The file is written after each figure.
"""

import argparse
import functools
import statistics
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import step_profile
from benchmarks.race import Make, race
from benchmarks.report import Report, seconds, spread
from drawwell.engine.cores import cores
from drawwell_train.config import TrainConfig
from drawwell_train.data.images import ImageData
from drawwell_train.networks.architectures import build_discriminator, build_generator
from drawwell_train.options import TrainOptions
from drawwell_train.presets import PRESETS, PresetName
from drawwell_train.resolve import DataFacts, resolve
from drawwell_train.step import state
from drawwell_train.step.batches import Batches
from drawwell_train.step.steps import train_step

IMAGES, BATCH = 16_384, 64
"""256 steps an epoch: of a shorter one the beginning, when workers have nothing ready yet, would be measured too."""
SHAPES = ((32, 1), (64, 3))
PRESET_SIZE, PRESET_CHANNELS = 28, 1
ROUNDS, SHORT_ROUNDS = 11, 3


def main() -> None:
    options = arguments()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here")
    threads = options.threads or ([cores()] if options.short else sorted({1, cores()}))
    shapes = SHAPES[-1:] if options.short else SHAPES
    rounds = options.rounds or (SHORT_ROUNDS if options.short else ROUNDS)
    cases = {
        f"{size}x{size}x{channels}, {count} threads": (size, channels, options.device, count, rounds)
        for count in threads
        for size, channels in shapes
    }
    presets = get_args(PresetName)
    report = Report(
        f"train-{device_name(options.device)}",
        [*(("steps", case) for case in cases), *(("presets", preset) for preset in presets)],
        options.device,
        options.short,
        torch=torch.__version__,
    )
    for case, given in cases.items():
        report.add("steps", case, figure=measure(*given))
    for preset in presets:
        report.add("presets", preset, figure=of_preset(preset, options.device, rounds))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", help="by default 1 and one a core; short: one a core")
    parser.add_argument("--rounds", type=int, help=f"by default {ROUNDS}; short: {SHORT_ROUNDS}")
    parser.add_argument("--short", action="store_true", help="64 px alone and fewer rounds: a minute or two")
    return parser.parse_args()


def device_name(device: str) -> str:
    return torch.cuda.get_device_name().replace(" ", "-") if device == "cuda" else device


def measure(size: int, channels: int, device: str, threads: int, rounds: int) -> dict[str, Any]:
    config = configured("dcgan", size, channels, device)
    contenders: dict[str, Make] = {
        "plain": (run_plain, (config, threads, workers_of(device))),
        "drawwell": (run_drawwell, (config, threads)),
    }
    seen = race(contenders, BATCH, rounds)
    operations, best = operations_an_image(config), best_product(device, threads)
    rates = {name: spread(by_round) for name, by_round in seen.items()}
    print(size, threads, {name: round(rate["median"]) for name, rate in rates.items()}, flush=True)
    return {
        "precision": config.precision,
        "images_a_second": rates,
        "against_plain": spread([ours / plain for ours, plain in zip(seen["drawwell"], seen["plain"], strict=True)]),
        "operations_an_image": operations,
        "share_of_best_product": rates["drawwell"]["median"] * operations / best,
    }


def of_preset(name: PresetName, device: str, rounds: int) -> dict[str, Any]:
    """What a step costs, and where: see ``step_profile``."""
    size = min(PRESETS[name].sizes, key=lambda size: abs(size - PRESET_SIZE))
    config = configured(name, size, PRESET_CHANNELS, device)
    networks = state.build(config, torch.device("cpu")).networks()
    images = config.images_per_step
    rates = race({name: (run_drawwell, (config, cores()))}, images, rounds)[name]
    profiled = profile_of(config, cores())
    milliseconds = spread([1000 * images / rate for rate in rates])
    print(name, f"{milliseconds['median']:.1f} ms a step", profiled["shares"], flush=True)
    return {
        "size": size,
        "precision": config.precision,
        "generator_parameters": sum(weight.numel() for weight in networks["generator"].parameters()),
        "discriminator_parameters": sum(weight.numel() for weight in networks["discriminator"].parameters()),
        "images_a_step": images,
        "images_a_second": spread(rates),
        "milliseconds_a_step": milliseconds,
        "profile": profiled,
    }


def profile_of(config: TrainConfig, threads: int) -> dict[str, Any]:
    before = torch.get_num_threads()
    step = run_drawwell(config, threads, named=True)
    found = step_profile.measure(step, config.device)
    torch.set_num_threads(before)
    return found


def configured(preset: PresetName, size: int, channels: int, device: str) -> TrainConfig:
    """As the command would have it, in the precision that suits the device."""
    options = TrainOptions("noise", preset=preset, size=size, channels=channels, device=device)  # type: ignore[arg-type]
    return resolve(options, DataFacts(size, channels, (), ""))


def noise(config: TrainConfig) -> ImageData:
    shape = IMAGES, config.size, config.size, config.channels
    return ImageData(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def run_drawwell(config: TrainConfig, threads: int, named: bool = False) -> Callable[[], Any]:
    """``named``: so that the profiler tells the data and spectral normalisation from other operations."""
    torch.set_num_threads(threads)
    device = torch.device(config.device)
    built = state.build(config, device)
    next_batch = Batches(noise(config), config, device, 0).next
    if named:
        next_batch = step_profile.named(step_profile.DATA, next_batch)
        step_profile.name_spectral_norms(built.discriminator)

    seen: list[Tensor] = []

    def step() -> None:
        seen.append(torch.stack(list(train_step(built, config, next_batch).values())))
        if len(seen) == config.log_every:
            assert torch.stack(seen).isfinite().all()
            seen.clear()

    return functools.partial(_finished, step, config.device)


def run_plain(config: TrainConfig, threads: int, workers: int) -> Callable[[], Any]:
    torch.set_num_threads(threads)
    return functools.partial(_finished, PlainLoop(config, noise(config), workers).step, config.device)


def workers_of(device: str) -> int:
    """The example has 2, which keep a device busy; on a processor they take the cores from the networks."""
    return 2 if device == "cuda" else 0


def _finished(step: Callable[[], Any], device: str) -> None:
    step()
    if device == "cuda":
        torch.cuda.synchronize()


class Pictures(Dataset[Tensor]):
    """Each image becomes float32 ``[C, S, S]`` in [-1, 1] when it is taken, as ToTensor and Normalize do it."""

    def __init__(self, data: ImageData) -> None:
        self._images = data.images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self._images[index]).permute(2, 0, 1).contiguous().float().div(255).sub(0.5).div(0.5)


class PlainLoop:
    """One step of the example after the other."""

    def __init__(self, config: TrainConfig, data: ImageData, workers: int = 0) -> None:
        self.device, self.latent_dim = config.device, config.latent_dim
        self.g, self.d = build_generator(config).to(self.device), build_discriminator(config).to(self.device)
        self.adam_g, self.adam_d = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (self.g, self.d))
        self.loss = nn.BCEWithLogitsLoss()
        self.real = self._epochs(data, workers)

    @staticmethod
    def _epochs(data: ImageData, workers: int) -> Iterator[Tensor]:
        # workers that persist are started once: a start in every epoch would cost more here than in one of real data
        loader = DataLoader(
            Pictures(data), BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
        )
        while True:
            yield from loader

    def step(self) -> tuple[float, ...]:
        real = next(self.real).to(self.device)
        self.d.zero_grad()
        of_real, loss_real = self._judge(real, 1.0)
        fake = self.g(torch.randn(BATCH, self.latent_dim, device=self.device))
        of_fake, loss_fake = self._judge(fake.detach(), 0.0)
        self.adam_d.step()
        self.g.zero_grad()
        again, loss_g = self._judge(fake, 1.0)
        self.adam_g.step()
        return (loss_real + loss_fake).item(), loss_g.item(), of_real.item(), of_fake.item(), again.item()

    def _judge(self, images: Tensor, target: float) -> tuple[Tensor, Tensor]:
        """D's mean output and the loss, whose gradients are added to those of the weights."""
        logits = self.d(images)
        loss = self.loss(logits, torch.full((BATCH,), target, device=self.device))
        loss.backward()
        return logits.sigmoid().mean(), loss


def operations_an_image(config: TrainConfig) -> float:
    """Of one step of the trainer: a multiplication and an addition are two."""
    step = run_drawwell(config, 1)
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops()) / BATCH


def best_product(device: str, threads: int) -> float:
    """Operations a second of a bfloat16 product of two large squares, on as many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    side = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in "ab")
    call = functools.partial(_finished, lambda: a @ b, device)
    call()
    best: float = 2 * side**3 / statistics.median(seconds(call, 10) for _ in range(7))
    torch.set_num_threads(before)
    return best


if __name__ == "__main__":
    main()
