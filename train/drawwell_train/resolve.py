"""From options to the resolved configuration: what the data and the machine decide, decided once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from drawwell.engine.cores import cores
from drawwell.errors import DrawwellError
from drawwell_train.config import TrainConfig
from drawwell_train.data.classes import is_text
from drawwell_train.data.images import ImageData
from drawwell_train.distributed import local_world_size
from drawwell_train.options import TrainOptions, resolved


@dataclass(frozen=True)
class DataFacts:
    """What a configuration records of the data."""

    size: int
    channels: int
    class_names: tuple[str, ...]
    """By label; empty where no classes are learned."""
    sha256: str


def facts_of_images(options: TrainOptions, images: ImageData) -> DataFacts:
    """The facts of loaded data. Raises ``DrawwellError`` where classes are to be learned and the data has none."""
    _, _, size, channels = images.images.shape
    if not options.conditional:
        return DataFacts(size, channels, (), images.sha256())
    if images.labels is None or not images.class_names:
        why = images.why_no_classes or "sort the images into a sub-folder for each class, or write labels.csv"
        raise DrawwellError(f"--conditional: the data has no classes: {why}")
    return DataFacts(size, channels, images.class_names, images.sha256(with_labels=True))


def facts_of_run(options: TrainOptions, before: TrainConfig) -> DataFacts:
    """The facts of the data that a run began with, as if ``options`` named the same data."""
    names = before.class_names if options.conditional else ()
    return DataFacts(options.size or before.size, options.channels or before.channels, names, before.data_sha256)


def resolve(options: TrainOptions, data: DataFacts | None = None) -> TrainConfig:
    """Resolve all options.

    Args:
        options: as given on the command line.
        data: facts of the data; without them, before the data is read, placeholders stand for what they decide.

    Returns:
        The configuration, in which every value is decided.

    Raises:
        DrawwellError: this machine, or the card of the generator, cannot have what the options ask for.
    """
    path = options.data if options.data == "digits" else str(Path(options.data).expanduser().resolve())
    name = options.name or Path(path).name.lstrip(".").split(".")[0]
    device = _device(options)
    config = resolved(
        options,
        data=path,
        name=name,
        out=options.out or _default_out(name),
        device=device,
        precision=_precision(options, device),
        threads=options.threads or max(1, cores() // local_world_size()),
        **_from_data(data),
    )
    _check_card(config)
    return config


def _from_data(data: DataFacts | None) -> dict[str, object]:
    if data is None:
        return {}
    return {
        "size": data.size,
        "channels": data.channels,
        "class_names": data.class_names,
        "data_sha256": data.sha256,
    }


def _default_out(name: str) -> Path:
    runs = Path("runs")
    out = runs / name
    if out.resolve() == runs.resolve() or not out.resolve().is_relative_to(runs.resolve()):
        raise DrawwellError(f"{name!r} names no folder below {runs}/: name the run folder with --out")
    return out


def _check_card(config: TrainConfig) -> None:
    """Now, and not when the trained generator is exported."""
    texts = {"--name": config.name, "--license": config.license, "the name of the data": Path(config.data).name}
    for what, text in texts.items():
        if not is_text(text):
            raise DrawwellError(
                f"{what}, {text!r}, is not UTF-8, so the card of the generator cannot hold it: rename it"
            )


def _device(options: TrainOptions) -> Literal["cpu", "cuda"]:
    if options.device == "cuda" and not torch.cuda.is_available():
        raise DrawwellError("--device cuda: torch finds no CUDA device here; train on the processor with --device cpu")
    if options.device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    processes, devices = local_world_size(), torch.cuda.device_count()
    if processes > devices:
        raise DrawwellError(
            f"{processes} processes on this machine need a CUDA device each, and there are {devices}: start {devices} with "
            "torchrun --nproc-per-node, or use --device cpu"
        )
    return "cuda"


def _precision(options: TrainOptions, device: str) -> Literal["float32", "bfloat16"]:
    if options.precision != "auto":
        return options.precision
    return "bfloat16" if _multiplies_bfloat16(device) else "float32"


def _multiplies_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
