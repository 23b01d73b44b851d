"""What a page may ask of a training. It is checked before it reaches the process that trains, and without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from drawwell.errors import RequestError
from drawwell_train.play.lessons import LESSONS, Lesson
from drawwell_train.play.options import PlayOptions, read_options

Do = Literal["start", "pause", "step", "reset", "options", "lesson", "pace"]
PACES = (60, 20, 5)
"""Steps a second that a person may choose beside as many as the machine makes."""


@dataclass(frozen=True)
class Command:
    """A command, and what belongs to it: all ``options``, or the ``lesson``, or a ``pace`` in steps a second, None for no limit."""

    do: Do
    options: PlayOptions | None = None
    lesson: Lesson | None = None
    pace: int | None = None


def read_command(given: object) -> Command:
    """Return the command in a decoded JSON object. Raises ``RequestError`` with a sentence for anything else."""
    if not isinstance(given, Mapping) or given.get("do") not in get_args(Do):
        raise RequestError(f'a command is {{"do": ...}} with one of {", ".join(get_args(Do))}')
    do: Do = given["do"]
    wanted = {"options": "options", "lesson": "lesson", "pace": "pace"}.get(do)
    if given.keys() != {"do", wanted} - {None}:
        raise RequestError(f"the command {do} comes with {wanted or 'nothing else'}")
    return Command(do, **{wanted: _READERS[wanted](given[wanted])} if wanted else {})


def _options(given: Any) -> PlayOptions:
    if not isinstance(given, Mapping):
        raise RequestError("options must be an object of names and values")
    return read_options(given)


def _lesson(given: Any) -> Lesson:
    if not isinstance(given, str) or given not in LESSONS:
        raise RequestError(f"there is no lesson {given!r}; the lessons are {', '.join(LESSONS)}")
    return LESSONS[given]


def _pace(given: Any) -> int | None:
    if given is not None and (isinstance(given, bool) or given not in PACES):
        raise RequestError(f"pace must be one of {', '.join(map(str, PACES))} steps a second, or null, not {given!r}")
    return given


_READERS: dict[str, Any] = {"options": _options, "lesson": _lesson, "pace": _pace}
