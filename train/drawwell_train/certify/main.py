"""`drawwell certify`: does it help a classifier to learn from drawn images beside real ones?"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro

from drawwell import atomic_files as files
from drawwell import terminal
from drawwell.addresses.arguments import check_address
from drawwell.engine.cores import cores
from drawwell.errors import DrawwellError
from drawwell.files.certified import MAX_ROWS
from drawwell.files.selection import Selection, read_selection
from drawwell_train.certify.certificate import Certificate, CertificateError, Inputs, Options, read, write
from drawwell_train.certify.images import drawn_images, read_real, selected_images, write_share
from drawwell_train.certify.measure import certify, inputs_of
from drawwell_train.certify.plot import uplift
from drawwell_train.evaluation import record
from drawwell_train.evaluation.classifier import IMAGES_SEEN
from drawwell_train.evaluation.source import Source, open_source
from drawwell_train.run.checkpoint import Checkpoint, Say
from drawwell_train.run.mixture import in_words

_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
_RATIOS = (0.25, 0.5, 0.75)
_LEAST_SEEDS = 3
_IMAGES, _QUICK_IMAGES, _QUICK_IMAGES_SEEN = 60_000, 10_000, 30_000


@dataclass(frozen=True)
class CertifyConfig:
    """Measure whether drawn images help to train a classifier: the accuracy with real images only, drawn images only, and both, at
    several shares of the real images. Writes certificate.json and uplift.png. A run that was stopped goes on where it was."""

    generator: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[GENERATOR]", help_behavior_hint="")
    ] = None
    """A run folder, a generator file, the name of a bundled generator, or the URL of a server. It must have classes."""
    more: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[RUN ...]", help_behavior_hint="")
    ] = ()
    """More run folders, for a mixture."""
    data: Annotated[str | None, tyro.conf.arg(metavar="DATA", help_behavior_hint="(required)")] = None
    """Real images with classes to learn from: anything that `drawwell train` reads. A tenth of them, at most 5,000, chooses the
    mixing ratio, and no classifier learns from it."""
    test: Annotated[str | None, tyro.conf.arg(metavar="DATA", help_behavior_hint="(required)")] = None
    """Real images with classes that are in no training. They choose nothing."""
    selection: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Use the images of this selection. By default the first --count images of --seed."""
    quick: bool = False
    """A tenth of the work: each classifier sees 30,000 images, and 10,000 drawn images take part."""
    shares: Annotated[tuple[float, ...], tyro.conf.arg(metavar="SHARE")] = _SHARES
    """Shares of the real images to measure with, in ascending order. A smaller share is a part of a larger one."""
    seeds: int = 3
    """Classifiers of each kind, at least 3: accuracies are their mean and standard deviation."""
    seed: int = 0
    """Seed of the drawn images."""
    count: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Number of drawn images. By default 60,000, and 10,000 with --quick."""
    flip: bool = False
    """Mirror half of the batches, beside the shifts that are always there. For data in which left and right mean the same."""
    resize: bool = False
    """Convert real images to the size and colours of the generator, as `drawwell train` does."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """CPU threads. By default one per core."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder for certificate.json and uplift.png. By default NAME-certificate."""
    classifiers: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder for the finished classifiers. Certificates with the same --data can share it: the classifiers of real images are then
    trained once. By default the folder classifiers in --out."""
    write_share: Annotated[float | None, tyro.conf.arg(metavar="SHARE", help_behavior_hint="")] = None
    """Only write the real images of this share of --data to --out, a new .npz, in the size in which `drawwell train` reads them without
    --size. A generator that is trained with them saw the same real images as the classifiers of this share. Takes --data and --out."""
    repeat: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Measure this certificate.json again with its own options, and stop if a SHA-256 of its inputs differs. Takes
    --threads, --out and --classifiers, and GENERATOR, --data, --test and --selection where the files lie elsewhere now."""


def main(config: CertifyConfig) -> None:
    """Run `drawwell certify`. Raises ``DrawwellError`` with a sentence that says what to change."""
    if config.write_share is None:
        _certify(config)
    else:
        _write_share(config, config.write_share)


def _certify(config: CertifyConfig) -> None:
    earlier = None if config.repeat is None else read(config.repeat)
    options = _options(config) if earlier is None else _repeated(config, earlier.options)
    _check(options, config.threads)
    torch.set_num_threads(config.threads or cores())
    say = terminal.console().print
    source = open_source(options.generator, (), say, config.threads or cores(), [Path(run) for run in options.more])
    found = _measured(source, options, config, earlier, say)
    print(found.in_words(), flush=True)
    if earlier is not None:
        print(_compared(earlier, found), flush=True)
    if source.checkpoint is not None:
        say(_keep(source.checkpoint, source.more, options, found))


def _write_share(config: CertifyConfig, share: float) -> None:
    if config.data is None or config.out is None or config.out.suffix != ".npz":
        raise DrawwellError("--write-share needs --data, and --out with the name of a new .npz file")
    if config != CertifyConfig(data=config.data, out=config.out, write_share=share):
        raise DrawwellError("--write-share takes --data and --out only: leave the other options out")
    if not 0 < share <= 1:
        raise DrawwellError(f"--write-share must be above 0 and at most 1, not {share:g}")
    if config.out.exists():
        raise DrawwellError(f"{config.out}: exists already: choose another name with --out")
    images = write_share(config.data, share, config.out)
    print(f"{config.out}: {images:,} images, {100 * share:g} % of {config.data} without its validation part")


def _keep(checkpoint: Checkpoint, more: tuple[Checkpoint, ...], options: Options, found: Certificate) -> str:
    """Write the certificate where export finds it, unless a better one is there. Returns a sentence about it."""
    run = Path(options.generator).expanduser()
    known = record.read_certificate(run, checkpoint, *more)
    if known is not None and known.images_seen > options.images_seen:
        return f"{run} keeps its certificate of classifiers that saw {known.images_seen:,} images"
    record.write_certificate(run, checkpoint, found.for_card(), *more)
    return (
        f"next: drawwell export {in_words([options.generator, *options.more], ())} puts the certificate into the card"
    )


def _measured(
    source: Source, options: Options, config: CertifyConfig, earlier: Certificate | None, say: Say
) -> Certificate:
    if options.selection is not None and source.checkpoint is not None:
        raise DrawwellError(
            f"{options.generator}: a selection is of a generator file: name the file that drawwell export wrote from this run"
        )
    if source.labels_at is None:
        raise DrawwellError(f"{options.generator}: has no classes: train it with --conditional to certify it")
    selection = _selection(options)
    real = read_real(options.data, options.test, source, options.resize)
    if real.overlap:
        say(f"warning: {real.overlap:,} of {len(real.test):,} test images are in {options.data}, too")
    say(f"drawing {options.images if selection is None else len(selection):,} images")
    drawn = selected_images(source, selection) if selection else drawn_images(source, options.seed, options.images)
    inputs = inputs_of(source, real, drawn, selection, options.seed)
    if earlier is not None:
        _check_same(earlier.inputs, inputs)
    folder = config.out or Path(re.sub(r"[^\w.-]", "_", source.name) + ("-repeated" if earlier else "-certificate"))
    if config.repeat is not None and (folder / "certificate.json").resolve() == config.repeat.resolve():
        raise DrawwellError(f"{folder}: holds the certificate that is to be repeated: name another folder with --out")
    classifiers = config.classifiers or folder / "classifiers"
    for one in (folder, classifiers):
        _make(one)
    certificate = certify(source, real, drawn, inputs, options, classifiers, say)
    write(folder / "certificate.json", certificate)
    files.write(folder / "uplift.png", uplift(certificate))
    say(
        f"see {folder}/certificate.json and {folder}/uplift.png; drawwell certify --repeat {folder}/certificate.json measures it again"
    )
    return certificate


def _options(config: CertifyConfig) -> Options:
    if config.generator is None or config.data is None or config.test is None:
        raise DrawwellError("name a GENERATOR, --data and --test; or --repeat with a certificate.json")
    return Options(
        generator=config.generator,
        data=config.data,
        test=config.test,
        selection=None if config.selection is None else str(config.selection),
        shares=config.shares,
        ratios=_RATIOS,
        seeds=config.seeds,
        images_seen=_QUICK_IMAGES_SEEN if config.quick else IMAGES_SEEN,
        seed=config.seed,
        images=(_QUICK_IMAGES if config.quick else _IMAGES) if config.count is None else config.count,
        flip=config.flip,
        resize=config.resize,
        more=config.more,
    )


def _repeated(config: CertifyConfig, options: Options) -> Options:
    """The options of an earlier certificate, with the places where its files lie now."""
    fixed = [
        name for name in ("quick", "shares", "seeds", "seed", "count", "flip", "resize") if _is_given(config, name)
    ]
    if fixed:
        raise DrawwellError(
            f"--{fixed[0]} does not go with --repeat, which takes it from the certificate: leave it out"
        )
    return replace(
        options,
        generator=config.generator or options.generator,
        more=config.more if config.generator else options.more,
        data=config.data or options.data,
        test=config.test or options.test,
        selection=options.selection if config.selection is None else str(config.selection),
    )


def _is_given(config: CertifyConfig, name: str) -> bool:
    return bool(getattr(config, name) != getattr(CertifyConfig, name))


def _check(options: Options, threads: int | None) -> None:
    if options.images < 1:
        raise DrawwellError(f"--count must be at least 1, not {options.images}")
    check_address(options.seed, options.images, 0, None)
    if threads is not None and threads < 1:
        raise DrawwellError(f"--threads must be at least 1, not {threads}")
    if options.seeds < _LEAST_SEEDS:
        raise DrawwellError(
            f"--seeds must be at least {_LEAST_SEEDS}, since fewer give no reliable spread, not {options.seeds}"
        )
    if wrong := [share for share in options.shares if not 0 < share <= 1]:
        raise DrawwellError(f"--shares must be above 0 and at most 1, not {wrong[0]:g}")
    if len(options.shares) > MAX_ROWS:
        raise DrawwellError(f"--shares may be {MAX_ROWS} at most, not {len(options.shares)}")
    if not options.shares or list(options.shares) != sorted(set(options.shares)):
        raise DrawwellError("--shares must be ascending, each once: for example --shares 0.01 0.1 1")


def _selection(options: Options) -> Selection | None:
    return None if options.selection is None else read_selection(options.selection)


def _check_same(earlier: Inputs, now: Inputs) -> None:
    """Raise ``CertificateError`` that names every input that differs."""
    names = {
        "generator": "the generator",
        "data": "--data",
        "test": "--test",
        "selection": "--selection",
        "seed": "the seed",
        "images": "the number of drawn images",
        "drawn_pixels": "the drawn images",
    }
    different = [
        f"{words}: {getattr(earlier, name)} then, {getattr(now, name)} now"
        for name, words in names.items()
        if getattr(earlier, name) != getattr(now, name)
    ]
    if different:
        raise CertificateError(
            "\n".join(["the certificate cannot be repeated, because its inputs differ:", *different])
        )


def _compared(earlier: Certificate, now: Certificate) -> str:
    """The largest difference of two certificates of the same inputs, and what of it says nothing."""
    means = [
        [one.drawn.mean, *(mean for row in one.rows for mean in (row.real.mean, row.both.mean))]
        for one in (earlier, now)
    ]
    furthest = max(abs(before - after) for before, after in zip(*means, strict=True))
    said = f"Repeated: every SHA-256 is the same, and accuracies differ by at most {100 * furthest:.2f} points."
    if now.kept:
        said += f" {now.kept} CLASSIFIERS WERE KEPT FROM BEFORE, NOT TRAINED ANEW: name an empty folder with --classifiers to repeat them."
    return said


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrawwellError(
            f"{folder}: cannot be made a folder ({error.strerror}): choose another with --out or --classifiers"
        ) from error
