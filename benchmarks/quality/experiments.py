"""What is trained and measured, in the order in which it is published."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drawwell.errors import DrawwellError
from drawwell_train.data.arrays import read_file
from drawwell_train.data.images import ImageData
from drawwell_train.evaluation.reference import Sources
from drawwell_train.evaluation.stacks import stacks

_FASHION_MNIST = "fashion-mnist.npz", "fashion-mnist-test.npz"
_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_EMOJI, _EMOJI_ALL = "emoji.npz", "twemoji64/emoji64.npz"
_EMOJI_GROUPS = "Flags", "People & Body", "Smileys & Emotion", "Symbols"
"""The groups whose images look alike. In the six others nearly every picture shows another thing."""
_STACKS, _STACKS_SEED = 128_000, 0
"""As many as in Lin et al. 2018, section 4.1."""


@dataclass(frozen=True)
class Experiment:
    """One training and its measures, a mixture of the generators of others, or a bundled generator. ``data`` and ``test`` are names below
    the folder of ``prepare``, or of the data itself.
    """

    name: str
    title: str
    data: str
    steps: int
    options: tuple[str, ...]
    test: str | None = None
    digits: tuple[str, str] | None = None
    """Where the data are stacks: the single digits, to learn from and to test with."""

    mixture_of: tuple[str, ...] = ()
    """The trainings whose generators are joined; it has none of its own."""

    bundled: bool = False
    """Whether it is the bundled generator of this name, whose training is over."""

    @property
    def runs(self) -> tuple[Path, ...]:
        return tuple(RUNS / name for name in self.mixture_of or (self.name,))

    @property
    def generators(self) -> list[str]:
        """What `drawwell evaluate` is called with."""
        return [self.name] if self.bundled else [str(run) for run in self.runs]

    def sources(self, root: Path) -> Sources:
        """The real images that it is measured with."""
        data, test = self.digits or (self.data, self.test)
        return Sources(str(find(root, data)), test and str(find(root, test)))

    def command(self, root: Path) -> list[str]:
        """What `drawwell` is called with: to train, or to measure what is not trained here."""
        if self.mixture_of or self.bundled:
            test = [] if self.test is None else ["--test", str(find(root, self.test))]
            return ["evaluate", *self.generators, "--data", str(find(root, self.data)), *test]
        given = "--out", *self.generators, "--steps", str(self.steps), "--threads", "1"
        return ["train", str(find(root, self.data)), *given, *self.options]

    def pasted(self, root: Path) -> str:
        """The same as a user would type it."""
        return shlex.join(["drawwell", *self.command(root)])


_MNIST = "mnist/train-images-idx3-ubyte.gz", "mnist/t10k-images-idx3-ubyte.gz"
_FILES = (
    *_MNIST,
    "fashion-mnist/train-images-idx3-ubyte.gz",
    "fashion-mnist/t10k-images-idx3-ubyte.gz",
    "cifar-10-batches-bin/test_batch.bin.gz",
    _EMOJI_ALL,
)
"""Looked for before hours of training."""
RUNS = Path("runs", "results")
PREPARED = RUNS / "data"
_SELDOM = "--log-every", "200", "--sample-every", "1000"
RELATIVISTIC = (
    *("--preset", "sngan", "--d-width", "16", "--loss", "relativistic", "--d-norm", "none"),
    *("--r1", "0.05", "--r2", "0.05", "--penalty-form", "finite-difference"),
    *("--schedule", "constant", "--ema-halflife-images", "10000"),
)
"""Preset rpgan, in the options that it had before it was a preset: the published runs began with them."""


_ABOUT_FASHION = "--name", "fashion", "--license", "MIT, (c) 2017 Zalando SE (Fashion-MNIST)"
_RPGAN_STEPS = 59_998, 57_448
"""By seed. The bundled mixture has these checkpoints: more steps would be another generator."""
_MIXTURE = (*(f"fashion-rpgan-seed{seed}" for seed in range(len(_RPGAN_STEPS))), "fashion-dcgan")
"""Two generators of rpgan, from which classifiers learn more, and one of dcgan, whose images vary more: a file of 11 MiB."""


def experiments() -> Iterator[Experiment]:
    """Yield all experiments, the most important first, and mixtures after their trainings."""
    yield from map(_fashion_rpgan, range(len(_RPGAN_STEPS)))
    yield _fashion_dcgan()
    yield Experiment("fashion", "Fashion-MNIST, by class", _FASHION_MNIST[0], 0, (), _FASHION_MNIST[1], bundled=True)
    for seed in range(3):
        yield _stacked(2, seed)
    yield Experiment(
        "cifar",
        "CIFAR-10, by class",
        "cifar-10-batches-bin",
        100_000,
        ("--conditional", "--flip", *_SELDOM),  # with the default EMA, as the contest that it goes on from
        "cifar-10-batches-bin/test_batch.bin.gz",
    )
    yield _emoji()
    yield _stacked(1, 0)
    title = f"Fashion-MNIST, by class, a mixture of {len(_MIXTURE)}"
    yield Experiment("fashion-mixture", title, _FASHION_MNIST[0], 0, (), _FASHION_MNIST[1], mixture_of=_MIXTURE)


def _fashion_rpgan(seed: int) -> Experiment:
    options = (*_ABOUT_FASHION, "--conditional", *RELATIVISTIC, *_SELDOM, "--save-every", "5000", "--seed", str(seed))
    name, title = f"fashion-rpgan-seed{seed}", f"Fashion-MNIST, by class, rpgan, seed {seed}"
    return Experiment(name, title, _FASHION_MNIST[0], _RPGAN_STEPS[seed], options, _FASHION_MNIST[1])


def _fashion_dcgan() -> Experiment:
    options = (*_ABOUT_FASHION, "--conditional", *_SELDOM)
    title = "Fashion-MNIST, by class, dcgan"
    return Experiment("fashion-dcgan", title, _FASHION_MNIST[0], 41_000, options, _FASHION_MNIST[1])


def _emoji() -> Experiment:
    licence = "CC BY 4.0, Twemoji graphics (c) Twitter and contributors / jdecked; changed: drawn by a network that learned from them"
    options = "--conditional", "--diffaugment", "--width", "32", "--ema-halflife-images", "20000"
    about = "--name", "emoji", "--license", licence
    return Experiment("emoji", "Twemoji, 64 px, four groups", _EMOJI, 60_000, (*about, *options, *_SELDOM))


def _stacked(pack: int, seed: int) -> Experiment:
    return Experiment(
        f"stacked-pack{pack}-seed{seed}",
        f"dcgan{', pack 2' if pack > 1 else ''}, seed {seed}",
        "stacked.npz",
        100_000 if pack > 1 else 10_000,
        ("--pack", str(pack), "--seed", str(seed), *_SELDOM),
        digits=_MNIST,
    )


def find(root: Path, name: str) -> Path:
    """A prepared file, else one of the data sets below ``root``."""
    return PREPARED / name if (PREPARED / name).exists() else root / name


def prepare(root: Path) -> None:
    """Fashion-MNIST with the names of its classes, four groups of emoji, and stacked MNIST, unless they are there."""
    if missing := [name for name in _FILES if not (root / name).is_file()]:
        raise DrawwellError(
            f"{root}: has no {', '.join(missing)}; name the folder with the data sets: make results DATA=path"
        )
    PREPARED.mkdir(parents=True, exist_ok=True)
    for name, stem in ((_FASHION_MNIST[0], "train"), (_FASHION_MNIST[1], "t10k")):
        if not (file := PREPARED / name).exists():
            found = read_file(find(root, f"fashion-mnist/{stem}-images-idx3-ubyte.gz"))
            _write(file, images=found.images, labels=found.labels, classes=np.array(_CLASSES))
    if not (file := PREPARED / _EMOJI).exists():
        _write(file, **_groups(read_file(find(root, _EMOJI_ALL)), _EMOJI_GROUPS))
    if not (file := PREPARED / "stacked.npz").exists():
        _write(file, images=stacks(read_file(find(root, _MNIST[0])), _STACKS, _STACKS_SEED).images)


def _groups(images: ImageData, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """The images of some classes, which are numbered anew."""
    assert images.labels is not None
    chosen = [images.class_names.index(name) for name in names]
    kept = np.isin(images.labels, chosen)
    labels = np.array([chosen.index(label) for label in images.labels[kept]])
    return {"images": images.images[kept], "labels": labels, "classes": np.array(names)}


def _write(file: Path, **arrays: object) -> None:
    temporary = file.with_name(f".{file.name}")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    temporary.replace(file)
