"""`drawwell export`: from one or several checkpoints to one sealed generator file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import onnx
import tyro
from rich.console import Console

from drawwell import terminal
from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.card import MIXTURE_FORMAT, PLAIN_FORMAT, ModelCard, Parity, Target, total_of
from drawwell.files.certified import Certified
from drawwell.files.discriminator_file import discriminator_beside, remove_stale
from drawwell.files.generator_file import seal
from drawwell.files.history import TrainingHistory
from drawwell.files.quality import Quality
from drawwell_export import discriminator, parity
from drawwell_export.history import history_of
from drawwell_export.mixture import join
from drawwell_export.parts import Part, brightest_of, build, recipe_of_all, training_of
from drawwell_export.real_pictures import drawn_by, real_pictures
from drawwell_export.targets import RECIPES
from drawwell_export.write import write_checked
from drawwell_train.evaluation import record
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.mixture import Member, Steps, find_members, in_words
from drawwell_train.run.run_folder import RunError


@dataclass(frozen=True)
class ExportConfig:
    """Export the EMA generator of a training run as one .onnx file. The file is written only if its pixels agree with torch's.

    The run's discriminator is written beside it, as discriminator.onnx: `drawwell judge` and the server judge pictures with it.

    Several runs, or several steps of one, make a mixture: one file in which each address belongs to one of the generators.
    The images of a mixture vary more than the images of each generator."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...", help_behavior_hint="")]
    """The run folders that `drawwell train` wrote: one, or up to 32 with equal image sizes and classes for a mixture."""
    target: Target = "cpu"
    """The hardware that the file is for. Pixels of float32 targets differ from torch's by at most 1 of 255 levels.
    cpu: float32; transposed convolutions of stride 2 become four equivalent small ones, which ONNX Runtime runs fastest.
    cpu-int8: 8-bit integers, up to 3 times as fast as cpu for many images of a large network. Needs a CPU with VNNI.
    Its pixels differ by less than a level on average, and single pixels by far more.
    cuda: float16; pixels differ by at most 4 levels.
    portable: float32 and plain operators, for other runtimes."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """The file to write. By default generator.onnx in the run folder, or mixture.onnx in the first of several.
    For other targets than cpu: generator-TARGET.onnx or mixture-TARGET.onnx."""
    step: Annotated[
        Steps, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="INT|best", help_behavior_hint="(repeatable)")
    ] = ()
    """Checkpoint of each run: a step, or `best` for the lowest KID in training. By default the last.
    Repeat it for a mixture of several checkpoints of each run."""
    name: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Name of the generator in its card. By default the name of the runs; required if their names differ."""
    judge: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: write it)")] = True
    """Do not write the discriminator. It is measured on real images that training held out, so these are read again."""
    data: Annotated[str | None, tyro.conf.arg(metavar="DATA", help_behavior_hint="")] = None
    """Where the training images lie now, for the discriminator. By default where they lay in training."""


_CERTIFIED = "certificate: in the card\n"


def main(config: ExportConfig) -> None:
    """Run `drawwell export`. Raises ``DrawwellError`` with a sentence that says what to change."""
    console = terminal.console()
    if not config.runs:
        raise RequestError("name the run folder to export, or several for a mixture")
    members = find_members(config.runs, config.step, lambda sentence: console.print(sentence, style="bold red"))
    name = config.name or _common_name(members)
    checkpoint, *more = (member.checkpoint for member in members)
    quality = record.read(members[0].run, checkpoint, *more)
    out = config.out or _default_out(members, config.target)
    if (recipe := RECIPES[config.target]).int8:
        each = " for each generator" if more else ""
        console.print(f"calibrating, and comparing {recipe.addresses:,} images with torch's, takes half a minute{each}")
    certificate = record.read_certificate(members[0].run, checkpoint, *more)
    history = _history(members, console)
    engine = export(checkpoint, out, config.target, quality, more, name, certificate, history)
    if recipe.int8 and engine.card.parity.feature_distance is None:
        console.print(
            "this generator has no layer for 8-bit integers: the file is in float32, like a file of target cpu"
        )
    exported = f"{len(members)} generators" if more else _about_step(checkpoint)
    console.print(
        f"{out}: {out.stat().st_size / 2**20:.1f} MiB, {exported}, digest {engine.digest}\n"
        f"{engine.card.parity.in_words()}\n"
        f"{_about_measures(config, quality)}\n"
        f"{'' if certificate is None else _CERTIFIED}".rstrip()
    )
    if (stale := remove_stale(out, engine.digest)) is not None:
        console.print(f"removed {stale}: it belonged to the generator that was here before")
    if config.judge:
        _export_discriminator(checkpoint, len(members), engine, out, config.data, console)
    console.print(f"next: drawwell serve {out}")


def _export_discriminator(
    checkpoint: Checkpoint, members: int, engine: Engine, generator: Path, data: str | None, console: Console
) -> None:
    """Write the discriminator beside the generator, or say why there is none. The generator is written already, so none is no failure."""
    out = discriminator_beside(generator)
    try:
        real, drawn = real_pictures(checkpoint.config, data), drawn_by(engine)
        judge = discriminator.export(checkpoint, real, drawn, engine.digest, engine.card.name, out, members)
    except DrawwellError as error:
        console.print(f"no {out.name}: {error}")
        return
    words = judge.card.in_words()
    console.print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB, {words['Parity']}\n{words['Tells apart']}")


def _history(members: Sequence[Member], console: Console) -> TrainingHistory | None:
    """The curves of a single run. Its images do not depend on them, so an export goes on without them, and says so."""
    if len(members) > 1:
        return None
    try:
        return history_of(members[0].run, members[0].checkpoint.step)
    except RunError as error:
        console.print(f"no training curves in the card: {error}")
        return None


def _about_step(checkpoint: Checkpoint) -> str:
    left = checkpoint.config.steps - checkpoint.step
    return f"step {checkpoint.step:,}" + (
        f" of {checkpoint.config.steps:,}: training was not finished" if left > 0 else ""
    )


def _about_measures(config: ExportConfig, quality: Quality | None) -> str:
    if quality is not None:
        return f"quality: {len(quality.measures)} measures in the card; drawwell info shows them"
    measured = in_words(config.runs, config.step)
    return f"quality: not measured; run drawwell evaluate {measured} --data DATA, then export again"


def _common_name(members: Sequence[Member]) -> str:
    names = dict.fromkeys(member.checkpoint.config.name for member in members)
    if len(names) > 1:
        raise RequestError(f"the runs have the names {', '.join(map(repr, names))}: name their mixture with --name")
    return next(iter(names))


def _default_out(members: Sequence[Member], target: Target) -> Path:
    kind = "generator" if len(members) == 1 else "mixture"
    return members[0].run / (f"{kind}.onnx" if target == "cpu" else f"{kind}-{target}.onnx")


def export(
    checkpoint: Checkpoint,
    out: Path,
    target: Target = "cpu",
    quality: Quality | None = None,
    more: Sequence[Checkpoint] = (),
    name: str | None = None,
    certificate: Certified | None = None,
    history: TrainingHistory | None = None,
) -> Engine:
    """Write the generator file of ``checkpoint``, or of its mixture with ``more``, and return it opened.

    ``quality``, ``certificate`` and ``history`` are for the card, and ``name`` is by default the name of the first run. Raises
    ``ParityError`` if the file's pixels are too far from torch's, and ``DrawwellError`` if ``out`` cannot be written. Neither leaves a
    file behind.
    """
    parts = [build(one, target) for one in (checkpoint, *more)]
    if more:
        for part in parts:
            _prove(part.model, [part])  # each member alone, too: a mean over all members would dilute its errors
    model, config, recipe = join([part.model for part in parts]), checkpoint.config, recipe_of_all(parts)
    known = parity.known_indices(config, len(parts)) + brightest_of(parts)
    trainings = tuple(training_of(part.checkpoint) for part in parts)
    card = ModelCard(
        name=name or config.name,
        prior=config.prior,
        latent_dim=config.latent_dim,
        height=config.size,
        width=config.size,
        channels=config.channels,
        target=target,
        training=total_of(trainings),
        parity=_prove(model, parts),
        known_answers=parity.known_answers([part.generator for part in parts], model, recipe, config, known),
        class_names=config.class_names,
        quality=_before_rounding(quality) if recipe.int8 else quality,
        certificate=certificate,
        format_version=MIXTURE_FORMAT if more else PLAIN_FORMAT,
        members=trainings if more else (),
        history=history,
    )
    return write_checked(seal(model, card), out, partial(Engine, provider="cpu"))


def _prove(model: onnx.ModelProto, parts: Sequence[Part]) -> Parity:
    """Measure how far the pixels of a graph of ``parts`` are from torch's. Raises ``ParityError`` beyond the recipe's limits."""
    first, recipe = parts[0], recipe_of_all(parts)
    inputs = parity.feeds(first.checkpoint.config, range(recipe.addresses), len(parts))
    generators, pack = [part.generator for part in parts], first.checkpoint.config.pack
    return parity.measure(generators, first.discriminator, model, recipe, inputs, pack)


def _before_rounding(quality: Quality | None) -> Quality | None:
    """Add the remark that the measures are of the generator in float32."""
    remark = (
        "the measures are of the generator in float32; Parity shows how far the 8-bit integers of this file are from it"
    )
    return None if quality is None else replace(quality, remarks=(*quality.remarks, remark))
