"""`drawwell select`: write a selection of the images that a classifier of real images approves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from drawwell import __version__, terminal
from drawwell.addresses.arguments import check_address
from drawwell.addresses.scale import check_scale
from drawwell.engine.cores import cores
from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError, RequestError
from drawwell.files.selected import GainRecord, Rule, SelectedRecord, in_words
from drawwell.files.selection import MAX_CANDIDATES, Selection
from drawwell.generator import ImageGenerator
from drawwell.opening import is_url, open_generator
from drawwell.text import printable
from drawwell_train.config import MAX_BAD
from drawwell_train.data.dataset import Limits
from drawwell_train.evaluation.classifier import IMAGES_SEEN
from drawwell_train.evaluation.reference import CLASSIFIERS, Sources
from drawwell_train.run.checkpoint import Say
from drawwell_train.selecting.budgets import Budgets, read_budgets
from drawwell_train.selecting.candidates import Chosen, Stream, choose
from drawwell_train.selecting.gain import train_meter
from drawwell_train.selecting.gate import Gate, learn_gate, read_real
from drawwell_train.selecting.rules import DIVERSE_SHARE, MARGIN_NATS, Criteria, read_criteria

QUICK_IMAGES_SEEN = 60_000
"""Of each classifier with ``--quick``."""
_CANDIDATES_PER_IMAGE = 5
"""Of one class: an acceptance of a fifth meets the budget."""


@dataclass(frozen=True)
class SelectConfig:
    """Choose the images of a generator that a classifier of real images, the gate, approves, and write their addresses into a
    selection file. The gate learns from five sixths of --data. On the last sixth, `drawwell select` measures whether classifiers
    trained on the selection become better. A selection that makes them worse is not written."""

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GENERATOR")]
    """A bundled generator (fashion, fashion-int8, fashion-mixture, emoji), a file (generator.onnx, ./generator), or the URL of a server."""
    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """Real images with the classes of the generator: anything that `drawwell train` reads."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """The selection file to write. It must not exist."""
    count: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Number of images, shared out equally among the classes."""
    per_class: Annotated[str | None, tyro.conf.arg(metavar="CLASS=INT,...", help_behavior_hint="")] = None
    """Number of images of each named class, in place of --count: Sneaker=500,Bag=200."""
    rule: Rule = "agree"
    """agree keeps images that the gate names as the class of their address. confident also wants a margin. diverse keeps, of the
    images that agree, the ones that lie farthest apart in the gate's features."""
    margin: Annotated[float | None, tyro.conf.arg(metavar="NATS", help_behavior_hint=f"(default: {MARGIN_NATS:g})")] = (
        None
    )
    """Margin of confident: the log-probability of the class must be more than this above every other class."""
    keep_share: Annotated[
        float | None,
        tyro.conf.arg(metavar="SHARE", help_behavior_hint=f"(default: 1 for confident, {DIVERSE_SHARE:g} for diverse)"),
    ] = None
    """Share of the passing images to keep: confident keeps the ones with the largest margins, diverse the ones farthest apart."""
    seed: int = 0
    """The stream of images."""
    start: int = 0
    """Index of the first candidate."""
    spread: float = 1.0
    """Factor for the latents of all images, above 0 and at most 2. Above 1 images vary more and are less typical."""
    candidates: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help_behavior_hint="(default: enough if a fifth of each class passes)"),
    ] = None
    """Addresses to try. If they do not suffice, nothing is written."""
    quick: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: False)")] = False
    """Train each classifier on a fifth of the images, and measure with one classifier of each kind."""
    classifier_seeds: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=f"(default: {CLASSIFIERS}, with --quick 1)")
    ] = None
    """Classifiers of each kind that measure the selection: the gain is their mean."""
    even_if_worse: Annotated[bool, tyro.conf.arg(help_behavior_hint="(default: False)")] = False
    """Write the selection also if classifiers became worse by it."""
    resize: bool = False
    """Convert real images to the size and colours of the generator, as `drawwell train` does."""
    max_bad: float = MAX_BAD
    """Share of a folder's pictures that may be unreadable, as in `drawwell train`."""
    max_megapixels: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Largest picture that is read, as in `drawwell train`."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """CPU threads. By default one per core."""


def main(config: SelectConfig) -> None:
    """Run `drawwell select`. Raises ``DrawwellError`` with a sentence that says what to change; the file is then not written."""
    _check(config)
    criteria = read_criteria(config.rule, config.margin, config.keep_share)
    threads = config.threads or cores()
    torch.set_num_threads(threads)
    with open_generator(config.generator, threads=None if is_url(config.generator) else threads) as generator:
        selection, gain = select(config, generator, criteria, terminal.console().print)
    if gain.points < 0 and not config.even_if_worse:
        raise DrawwellError(
            f"the selection {gain.in_words()}. Nothing was written: try another --rule, or write it with --even-if-worse"
        )
    selection.write(config.out)
    print("\n".join(terminal.table(in_words(selection))))


def select(
    config: SelectConfig, generator: ImageGenerator, criteria: Criteria, say: Say
) -> tuple[Selection, GainRecord]:
    """Return the selection and what it gained. Raises ``DrawwellError``."""
    budgets = read_budgets(generator.card, config.count, config.per_class)
    stream = _stream(config, budgets, criteria)
    limits = Limits(config.max_bad, config.max_megapixels)
    real = read_real(Sources(config.data, resize=config.resize, limits=limits), generator.card, budgets)
    seen = QUICK_IMAGES_SEEN if config.quick else IMAGES_SEEN
    gate = learn_gate(real, seen, say)
    chosen = choose(generator, gate.classifier, stream, budgets, criteria, say)
    classifiers = config.classifier_seeds or (1 if config.quick else CLASSIFIERS)
    meter = train_meter(generator, real.validation, stream, budgets, classifiers, seen, say)
    gain = meter.measure(chosen.indices)
    return to_selection(generator, stream, budgets, criteria, gate, chosen, gain), gain


def to_selection(
    generator: ImageGenerator,
    stream: Stream,
    budgets: Budgets,
    criteria: Criteria,
    gate: Gate,
    chosen: Chosen,
    gain: GainRecord,
) -> Selection:
    """Return the selection with the record of how it was made."""

    def named(counts: Budgets) -> dict[str, int]:
        return {generator.card.class_names[label]: int(counts[label]) for label in np.flatnonzero(budgets)}

    record = SelectedRecord(
        criteria.rule,
        criteria.margin,
        criteria.keep_share,
        stream.start,
        chosen.candidates,
        named(budgets),
        named(chosen.scored),
        named(chosen.passed),
        gate.record,
        gain,
        _versions(generator),
    )
    return Selection(generator.digest, stream.seed, chosen.indices, spread=stream.spread, how=record.to_how())


def _versions(generator: ImageGenerator) -> dict[str, str]:
    drawn = {"engine": generator.fingerprint} if isinstance(generator, Engine) else {}
    return {"drawwell": __version__, "torch": str(torch.__version__), **drawn}


def _stream(config: SelectConfig, budgets: Budgets, criteria: Criteria) -> Stream:
    """The candidates: by default enough if a fifth of the images of each class passes."""
    enough = _CANDIDATES_PER_IMAGE * len(budgets) * int(np.ceil(budgets.max() / criteria.keep_share))
    limit = min(enough + 1000, MAX_CANDIDATES) if config.candidates is None else config.candidates
    if limit < 1:
        raise RequestError(f"--candidates must be at least 1, not {limit}")
    if limit > MAX_CANDIDATES:
        raise RequestError(f"--candidates must be at most {MAX_CANDIDATES:,}, not {limit:,}: make several selections")
    check_address(config.seed, limit, config.start, None)
    return Stream(config.seed, config.start, limit, check_scale(1.0, config.spread).spread)


def _check(config: SelectConfig) -> None:
    if config.out.suffix != ".json":
        raise RequestError(f"--out must be a file with the ending .json, not {printable(config.out)}")
    if config.out.exists():
        raise RequestError(f"{printable(config.out)}: exists: choose another --out, or remove it")
    if not config.out.parent.is_dir():
        raise RequestError(
            f"{printable(config.out.parent)}: is no folder to write into: make it, or choose another --out"
        )
    if config.threads is not None and config.threads < 1:
        raise RequestError(f"--threads must be at least 1, not {config.threads}")
    if config.classifier_seeds is not None and config.classifier_seeds < 1:
        raise RequestError(f"--classifier-seeds must be at least 1, not {config.classifier_seeds}")
    if not 0 <= config.max_bad <= 1:
        raise RequestError(f"--max-bad must be a share from 0 to 1, not {config.max_bad:g}")
    if config.max_megapixels is not None and config.max_megapixels < 1:
        raise RequestError(f"--max-megapixels must be at least 1, not {config.max_megapixels}")
