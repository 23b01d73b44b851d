"""`drawwell export`: checkpoints in, one sealed generator file out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import onnx
import tyro

from drawwell import terminal
from drawwell.atomic_files import replacing
from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.card import MIXTURE_FORMAT, PLAIN_FORMAT, ModelCard, Parity, Target, Training, total_of
from drawwell.files.generator_file import seal
from drawwell.files.quality import Quality
from drawwell_export import parity
from drawwell_export.mixture import join
from drawwell_export.parts import Part, brightest_of, build, recipe_of_all
from drawwell_export.targets import RECIPES
from drawwell_train.evaluation import record
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.identity import digest
from drawwell_train.run.mixture import Member, Steps, find_members, in_words


@dataclass(frozen=True)
class ExportConfig:
    """Export the averaged generator of a training run as one .onnx file, proven to draw the same pixels as torch.

    Of several runs, or several steps of one, it makes a mixture: one file in which every address belongs to one of the
    generators. Its images vary more than those of any one of them."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...", help_behavior_hint="")]
    """The run folders that `drawwell train` wrote: one, or up to 32 for a mixture, of images of one size and of equal classes."""
    target: Target = "cpu"
    """What the file is for. cpu: transposed convolutions split so that ONNX Runtime runs them fastest. cpu-int8: those in
    8-bit integers, up to 3 times as fast again for many images of a large network; under a level off on average, single
    pixels far more; wants a processor with VNNI. cuda: float16 within, at most 4 levels off. portable: plain operators."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")] = None
    """The file to write. By default generator.onnx in the run folder, of a mixture mixture.onnx in the first; for a target
    but cpu generator-TARGET.onnx and mixture-TARGET.onnx."""
    step: Annotated[
        Steps, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="INT|best", help_behavior_hint="(repeatable)")
    ] = ()
    """Which checkpoint of every run: its number, or `best`, the one of the least KID. By default the last. Given several times, it
    takes several checkpoints of every run, for a mixture."""
    name: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """What the card calls the generator. By default the name of the runs; if these have several, you must choose one."""


def main(config: ExportConfig) -> None:
    """Export what ``config`` says. Raises ``DrawwellError`` with a sentence where that cannot be done."""
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
        console.print(f"calibrating, and comparing {recipe.addresses:,} images with torch's: half a minute{each}")
    engine = export(checkpoint, out, config.target, quality, more, name)
    if recipe.int8 and engine.card.parity.feature_distance is None:
        console.print("this generator has no layer for 8-bit integers: the file is in float, as that of target cpu")
    what = f"{len(members)} generators" if more else f"step {checkpoint.step:,}"
    console.print(
        f"{out}: {out.stat().st_size / 2**20:.1f} MiB, {what}, digest {engine.digest}\n"
        f"{engine.card.parity.in_words()}\n"
        f"{_about_measures(config, quality)}\n"
        f"next: drawwell serve {out}",
    )


def _about_measures(config: ExportConfig, quality: Quality | None) -> str:
    if quality is not None:
        return f"quality: {len(quality.measures)} measures in its card, which drawwell info shows"
    measured = in_words(config.runs, config.step)
    return f"quality: not measured; drawwell evaluate {measured} --data DATA measures it, then export again"


def _common_name(members: Sequence[Member]) -> str:
    names = dict.fromkeys(member.checkpoint.config.name for member in members)
    if len(names) > 1:
        raise RequestError(f"the runs are called {', '.join(map(repr, names))}: name their mixture with --name")
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
) -> Engine:
    """Write the generator file, with its measures in its card, and return it opened. With ``more`` checkpoints it is a mixture,
    ``quality`` are its own measures, and ``name`` is by default that of the first.

    A file that fails parity is not written, and nothing else is left.
    """
    parts = [build(one, target) for one in (checkpoint, *more)]
    if more:
        for part in parts:
            _prove(part.model, [part])  # alone too: among others its faults would count less
    model, config, recipe = join([part.model for part in parts]), checkpoint.config, recipe_of_all(parts)
    known = parity.known_indices(config, len(parts)) + brightest_of(parts)
    trainings = tuple(_training(part.checkpoint) for part in parts)
    assert config.size is not None and config.channels is not None, "a checkpoint's configuration is resolved"
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
        format_version=MIXTURE_FORMAT if more else PLAIN_FORMAT,
        members=trainings if more else (),
    )
    return _write(seal(model, card), out)


def _prove(model: onnx.ModelProto, parts: Sequence[Part]) -> Parity:
    """That a graph of these parts draws torch's pixels. Raises ``ParityError``."""
    first, recipe = parts[0], recipe_of_all(parts)
    inputs = parity.feeds(first.checkpoint.config, range(recipe.addresses), len(parts))
    generators, pack = [part.generator for part in parts], first.checkpoint.config.pack
    return parity.measure(generators, first.discriminator, model, recipe, inputs, pack)


def _training(checkpoint: Checkpoint) -> Training:
    config = checkpoint.config
    return Training(
        dataset=Path(config.data).name,
        license=config.license,
        images=checkpoint.step * config.images_per_step,
        steps=checkpoint.step,
        config_sha256=digest(config),
    )


def _before_rounding(quality: Quality | None) -> Quality | None:
    """The same measures, with a remark that they are of the generator in float."""
    said = (
        "these measures are of the generator in float, and Parity tells how far from it this file's 8-bit integers are"
    )
    return None if quality is None else replace(quality, remarks=(*quality.remarks, said))


def _write(content: bytes, out: Path) -> Engine:
    if out.is_dir():
        raise DrawwellError(f"{out}: is a folder, name the file to write")
    try:
        with replacing(out) as file:
            file.write(content)
            file.flush()
            Engine(file.name, provider="cpu").close()  # reads it as a server will, known answers included
    except OSError as error:
        raise DrawwellError(f"{out}: cannot be written ({error.strerror})") from error
    return Engine(out, provider="cpu")
