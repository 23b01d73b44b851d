"""What a forked process must not use: the threads of its parent are not there, and a socket would be read by both."""

import os
import weakref
from collections.abc import Callable

_callbacks: "set[weakref.WeakMethod[Callable[[], None]]]" = set()
_inherited: list[object] = []


def at_fork(forked: Callable[[], None]) -> None:
    """Call the method ``forked`` in each process that is forked from this one, before anything else, as long as its object lives."""
    _callbacks.add(weakref.WeakMethod(forked, _callbacks.discard))


def keep(*things: object) -> None:
    """Never free what belongs to the parent: a session, for one, waits for its threads, which are not here."""
    _inherited.extend(things)


def _call() -> None:
    for callback in list(_callbacks):
        if forked := callback():
            forked()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_call)
