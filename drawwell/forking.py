"""Objects that a forked process must not use: it does not have the threads of its parent, and both would read one socket."""

import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

One = TypeVar("One")

_callbacks: "weakref.WeakKeyDictionary[Any, Callable[[Any], None]]" = weakref.WeakKeyDictionary()
_inherited: list[object] = []


def at_fork(one: One, forked: Callable[[One], None]) -> None:
    """Call ``forked(one)`` first of all in each process that is forked from this one, as long as ``one`` lives."""
    _callbacks[one] = forked


def keep(*things: object) -> None:
    """Never free these objects of the parent: a session waits for its threads, which do not exist here."""
    _inherited.extend(things)


def _call() -> None:
    for one, forked in list(_callbacks.items()):
        forked(one)


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_call)
