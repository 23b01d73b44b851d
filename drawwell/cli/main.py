"""The command line. Each command's stage is imported only when it is called."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from drawwell import __version__
from drawwell.errors import DrawwellError, StoppedError
from drawwell.text import printable, reason

_COMMANDS = {
    "train": ("drawwell_train.main", "TrainOptions", "main", "images -> a run folder with checkpoints", "train"),
    "curves": (
        "drawwell_train.monitor.curves",
        "CurvesConfig",
        "main",
        "a run -> curves.png and samples.webp: what happened in it",
        "train",
    ),
    "evaluate": (
        "drawwell_train.evaluation.main",
        "EvaluateConfig",
        "main",
        "a generator -> how good its images are, in numbers",
        "train,eval,cpu",
    ),
    "export": (
        "drawwell_export.main",
        "ExportConfig",
        "main",
        "a run -> one generator file, proven equal to torch",
        "export,cpu",
    ),
    "serve": ("drawwell_serve.main", "ServeConfig", "main", "a generator -> HTTP", "serve,cpu"),
    "generate": (
        "drawwell.cli.commands",
        "GenerateConfig",
        "generate",
        "a generator -> PNGs, an archive, an array or a contact sheet",
        "cpu",
    ),
    "info": ("drawwell.cli.commands", "InfoConfig", "info", "what a generator says of itself", "cpu"),
    "verify": ("drawwell.cli.commands", "VerifyConfig", "verify", "whether a file of images is whole", "cpu"),
}
"""Name: its module, its options, its function, one line of help, and the extras it needs."""

_FAILED, _INTERRUPTED, _NOBODY_READS = 1, 130, 141
_MOST_CHARACTERS = 4000


def main() -> None:
    """The entry point of `drawwell`. Exit codes: 0 done, 1 could not be done, 2 wrong usage, 130 interrupted, 141 output not read."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that half-written files are removed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name, or the ± of a measure, may be more than its encoding has
            stream.reconfigure(errors="backslashreplace")
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
    """Lines after the first are indented: a name with a line break in it shall not make one that looks like a message."""
    first, *more = sentences.split("\n")
    shown = "\n  ".join(
        [f"drawwell {command}: {printable(first, _MOST_CHARACTERS)}", *(printable(line) for line in more)]
    )
    print(shown, file=sys.stderr)


def _drop_output() -> None:
    """What cannot be written Python would try to write once more at the end, and complain."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(command: str, arguments: Sequence[str]) -> None:
    module_name, config_name, function_name, _, extras = _COMMANDS[command]
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("drawwell"):
            raise
        raise DrawwellError(
            f"this command needs {error.name}: pip install 'drawwell[{extras}]', or '.[{extras}]' in a clone"
        ) from error
    config = _parse(getattr(module, config_name), command, arguments)
    function: Callable[[object], None] = getattr(module, function_name)
    function(config)


def _parse(kind: type, command: str, arguments: Sequence[str]) -> object:
    import tyro

    from drawwell.cli.helptext import use_docstrings

    use_docstrings(kind)
    return tyro.cli(kind, prog=f"drawwell {command}", args=list(arguments), config=(tyro.conf.FlagCreatePairsOff,))


def _overview() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:{width}}  {meaning}" for name, (_, _, _, meaning, _) in _COMMANDS.items()]
    return "\n".join(
        [
            "usage: drawwell COMMAND [OPTIONS]",
            "",
            "A well of images: each has an address (seed and index) and is the same every time it is drawn.",
            "",
            *lines,
            "",
            "drawwell COMMAND --help lists a command's options. To begin: drawwell generate --count 64 --out sheet.png",
        ]
    )


if __name__ == "__main__":
    main()
