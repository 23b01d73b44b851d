"""`drawwell export`: a run's checkpoint in, a sealed generator file out."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import onnx
import tyro

from drawwell import terminal
from drawwell.card import ModelCard, Target, Training
from drawwell.engine import Engine
from drawwell.errors import DrawwellError
from drawwell.generator_file import seal
from drawwell.quality import Quality
from drawwell_export import graph, parity
from drawwell_export.quantise import CALIBRATION_IMAGES, calibrate, quantise
from drawwell_export.targets import RECIPES, Recipe
from drawwell_train.checkpoint import Checkpoint, Step, find
from drawwell_train.config import TrainConfig, images_per_step, recipe_of
from drawwell_train.evaluation import record
from drawwell_train.identity import digest
from drawwell_train.state import load_averaged, load_discriminator

_BRIGHTEST = 28
"""Known answers of an int8 file beside the usual: a processor whose sums of integers overflow errs in the brightest first."""


@dataclass(frozen=True)
class ExportConfig:
    """Export the averaged generator of a training run as one .onnx file, proven to draw the same pixels as torch."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder that `drawwell train` wrote."""
    target: Target = "cpu"
    """What the file is for. cpu: transposed convolutions split so that ONNX Runtime runs them fastest. cpu-int8: those in
    8-bit integers, up to 3 times as fast again for many images of a large network; under a level off on average, single
    pixels far more; wants a processor with VNNI. cuda: float16 within, at most 4 levels off. portable: plain operators."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """The file to write. By default generator.onnx in the run folder, or generator-TARGET.onnx for a target but cpu."""
    step: Annotated[Step, tyro.conf.arg(metavar="{INT,best}", help_behavior_hint="")] = None
    """Which checkpoint: its number, or `best`, the one of the least KID. By default the last."""


def main(config: ExportConfig) -> None:
    """Export what ``config`` says. Raises ``DrawwellError`` with a sentence where that cannot be done."""
    console = terminal.console()
    checkpoint, damaged = find(config.run, config.step)
    for sentence in damaged:
        console.print(f"damaged checkpoint passed over: {sentence}", style="bold red")
    quality = record.read(config.run, checkpoint)
    out = config.out or config.run / ("generator.onnx" if config.target == "cpu" else f"generator-{config.target}.onnx")
    if (recipe := RECIPES[config.target]).int8:
        console.print(f"calibrating, and comparing {recipe.addresses:,} images with torch's: half a minute")
    engine = export(checkpoint, out, config.target, quality)
    if recipe.int8 and engine.card.parity.feature_distance is None:
        console.print("this generator has no layer for 8-bit integers: the file is in float, as that of target cpu")
    console.print(
        f"{out}: {out.stat().st_size / 2**20:.1f} MiB, step {checkpoint.step:,}, digest {engine.digest}\n"
        f"{engine.card.parity.in_words()}\n"
        f"{_about_measures(config, quality)}\n"
        f"next: drawwell serve {out}",
    )


def _about_measures(config: ExportConfig, quality: Quality | None) -> str:
    if quality is not None:
        return f"quality: {len(quality.measures)} measures in its card, which drawwell info shows"
    step = "" if config.step is None else f" --step {config.step}"
    return f"quality: not measured; drawwell evaluate {config.run}{step} --data DATA measures it, then export again"


def export(checkpoint: Checkpoint, out: Path, target: Target = "cpu", quality: Quality | None = None) -> Engine:
    """Write the generator file, with the measures of the checkpoint in its card, and return it opened.

    A file that fails parity is not written, and nothing else is left.
    """
    config, recipe = checkpoint.config, RECIPES[target]
    generator = load_averaged(config, checkpoint.tensors)
    discriminator = load_discriminator(config, checkpoint.tensors)
    model = graph.export(generator, config.latent_dim, recipe.rewrites, recipe.dtype)
    known: tuple[int, ...] = parity.KNOWN_INDICES
    if recipe.int8:
        model, recipe, more = _in_integers(model, config, recipe)
        known += more
    inputs = parity.feeds(config, range(recipe.addresses))
    assert config.size is not None and config.channels is not None, "a checkpoint's configuration is resolved"
    card = ModelCard(
        name=config.name,
        prior=recipe_of(config).prior,
        latent_dim=config.latent_dim,
        height=config.size,
        width=config.size,
        channels=config.channels,
        target=target,
        training=Training(
            dataset=Path(config.data).name,
            license=config.license,
            images=checkpoint.step * images_per_step(config),
            steps=checkpoint.step,
            config_sha256=digest(config),
        ),
        parity=parity.measure(generator, discriminator, model, recipe, inputs, config.pack),
        known_answers=parity.known_answers(generator, model, recipe, config, known),
        class_names=config.class_names,
        quality=_before_rounding(quality) if recipe.int8 else quality,
    )
    return _write(seal(model, card), out)


def _in_integers(
    model: onnx.ModelProto, config: TrainConfig, recipe: Recipe
) -> tuple[onnx.ModelProto, Recipe, tuple[int, ...]]:
    """The quantised graph, what its pixels are held to, and the addresses at which an overflow would show first."""
    first = recipe.addresses  # parity does not look at those from here on
    calibration = calibrate(model, parity.feeds(config, range(first, first + CALIBRATION_IMAGES)))
    if not calibration.ranges:
        return model, RECIPES["cpu"], ()  # what stays in float is as near as float is
    brightest = tuple(first + place for place in calibration.brightest(_BRIGHTEST))
    return quantise(model, calibration), recipe, brightest


def _before_rounding(quality: Quality | None) -> Quality | None:
    """The same measures, with a remark that they are of the generator in float."""
    said = (
        "these measures are of the generator in float, and Parity tells how far from it this file's 8-bit integers are"
    )
    return None if quality is None else replace(quality, remarks=(*quality.remarks, said))


def _write(content: bytes, out: Path) -> Engine:
    if out.is_dir():
        raise DrawwellError(f"{out}: is a folder, name the file to write")
    temporary = out.with_name(f".{out.name}.writing")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Engine(temporary, provider="cpu").close()  # reads it as a server will, known answers included
        temporary.replace(out)
    except OSError as error:
        raise DrawwellError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Engine(out, provider="cpu")
