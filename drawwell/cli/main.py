"""The command line. A command's module is imported only when the command is called."""

import contextlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from drawwell import __version__
from drawwell.errors import DrawwellError, StoppedError
from drawwell.install import needed_for
from drawwell.text import printable, reason


class _Command(NamedTuple):
    module: str
    options: str
    """The class of its options."""
    function: str
    meaning: str
    """For the list of commands."""
    extras: tuple[str, ...]
    """That hold the packages it needs."""


_COMMANDS = {
    "train": _Command("drawwell_train.main", "TrainOptions", "main", "train a GAN on images", ("train",)),
    "curves": _Command(
        "drawwell_train.monitor.curves", "CurvesConfig", "main", "plot the training curves of a run", ("train",)
    ),
    "watch": _Command(
        "drawwell_train.watch.main", "WatchConfig", "main", "look at runs in a browser while they train", ("watch",)
    ),
    "play": _Command(
        "drawwell_train.play.main", "PlayConfig", "main", "play with a GAN in a browser", ("watch", "train")
    ),
    "evaluate": _Command(
        "drawwell_train.evaluation.main",
        "EvaluateConfig",
        "main",
        "measure how good the images of a run or generator are",
        ("train", "eval", "cpu"),
    ),
    "select": _Command(
        "drawwell_train.selecting.main",
        "SelectConfig",
        "main",
        "choose the images that a classifier of real images approves",
        ("train", "cpu"),
    ),
    "certify": _Command(
        "drawwell_train.certify.main",
        "CertifyConfig",
        "main",
        "measure whether drawn images help to train a classifier",
        ("train", "cpu"),
    ),
    "export": _Command(
        "drawwell_export.main", "ExportConfig", "main", "turn a run into one generator file", ("export", "cpu")
    ),
    "serve": _Command("drawwell_serve.main", "ServeConfig", "main", "serve a generator over HTTP", ("serve", "cpu")),
    "generate": _Command(
        "drawwell.cli.commands", "GenerateConfig", "generate", "draw images into files, or from a server", ("cpu",)
    ),
    "judge": _Command(
        "drawwell.cli.judging", "JudgeConfig", "judge", "ask a discriminator how authentic pictures are", ("cpu",)
    ),
    "info": _Command("drawwell.cli.commands", "InfoConfig", "info", "print the model card of a generator", ("cpu",)),
    "verify": _Command("drawwell.cli.commands", "VerifyConfig", "verify", "check files of drawn images", ("cpu",)),
}

_RUN_ON_WINDOWS = {"cpu"}
"""The extras of the commands that draw: training and serving use signals, locks and processes of POSIX."""

_PACKAGES = ("drawwell", "drawwell_train", "drawwell_export", "drawwell_serve")

_FAILED, _INTERRUPTED, _NOBODY_READS = 1, 130, 141
_MAX_SHOWN_CHARACTERS = 4000


def main() -> None:
    """Run the command ``drawwell``. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 nobody reads the output."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that half-written files are removed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name, or the ± of a measure, may be more than its encoding has
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"drawwell {__version__}")
        return 0
    if arguments[0] not in _COMMANDS:
        print(f"drawwell: there is no command {printable(arguments[0])!r}\n\n{_overview()}", file=sys.stderr)
        return 2
    try:
        _call(arguments[0], arguments[1:])
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
    except DrawwellError as error:
        _complain(arguments[0], str(error))
        return _INTERRUPTED if isinstance(error, StoppedError) else _FAILED
    except KeyboardInterrupt:
        _complain(arguments[0], "interrupted")
        return _INTERRUPTED
    except BrokenPipeError:  # as in `drawwell info | head -1`
        _drop_output()
        return _NOBODY_READS
    except OSError as error:  # of a file that an option names, or a full disk below the output
        _drop_output()
        _complain(arguments[0], f"{printable(error.filename or 'reading or writing failed')}: {reason(error)}")
        return _FAILED
    return 0


def _complain(command: str, sentences: str) -> None:
    """Lines after the first are indented: a name with a line break in it must not make a line that looks like a message."""
    first, *more = sentences.split("\n")
    shown = "\n  ".join(
        [f"drawwell {command}: {printable(first, _MAX_SHOWN_CHARACTERS)}", *(printable(line) for line in more)]
    )
    print(shown, file=sys.stderr)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    """A warning of ours is a sentence for the user; one of another package keeps the place that it comes from."""
    if sys.stderr is None:  # it may be closed
        return
    if _is_ours(filename):
        print(f"drawwell: {printable(message)}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno), end="", file=sys.stderr)


def _is_ours(filename: str) -> bool:
    packages = [sys.modules[name] for name in _PACKAGES if name in sys.modules]
    return any(Path(filename).is_relative_to(folder) for package in packages for folder in package.__path__)


def _drop_output() -> None:
    """Python would try to write what is left once more at the end, and complain."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(name: str, arguments: Sequence[str]) -> None:
    command = _COMMANDS[name]
    if sys.platform == "win32" and not _RUN_ON_WINDOWS.issuperset(command.extras):
        raise DrawwellError("this command needs Linux or macOS: on Windows, use WSL")
    with needed_for("this command", *command.extras):
        module = import_module(command.module)
    options = _parse(getattr(module, command.options), name, arguments)
    function: Callable[[object], None] = getattr(module, command.function)
    function(options)


def _parse(kind: type, name: str, arguments: Sequence[str]) -> object:
    import tyro

    from drawwell.cli.helptext import use_docstrings
    from drawwell.cli.values import REGISTRY

    use_docstrings(kind)
    return tyro.cli(
        kind, prog=f"drawwell {name}", args=list(arguments), config=(tyro.conf.FlagCreatePairsOff,), registry=REGISTRY
    )


def _overview() -> str:
    width = max(map(len, _COMMANDS))
    return "\n".join(
        [
            "usage: drawwell COMMAND [OPTIONS]",
            "",
            "Train a GAN on a folder of images, export its generator, serve it, and draw images from it by address.",
            "An image depends on its generator, its seed and its index alone: the same address gives the same image every time.",
            "",
            "commands:",
            *(f"  {name:{width}}  {command.meaning}" for name, command in _COMMANDS.items()),
            "",
            "Try first: drawwell generate --count 64 --out sheet.png",
            "Options of a command: drawwell COMMAND --help",
        ]
    )
