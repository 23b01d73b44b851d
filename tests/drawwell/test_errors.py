"""The exceptions: all public, in one tree, and able to travel."""

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

import drawwell
from drawwell import errors
from tests.drawwell.test_forks import errors as every_error

PUBLIC = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, drawwell.DrawwellError)]


def test_every_exception_is_exported_and_stands_in_the_tree() -> None:
    raised = [kind for kind in every_error() if kind.__module__.startswith("drawwell.")]
    assert set(raised) == set(PUBLIC), "an exception of the library is defined in drawwell.errors"
    for kind in PUBLIC:
        assert getattr(drawwell, kind.__name__) is kind
        assert kind.__name__ in drawwell.__all__
        assert f" {kind.__name__} " in f"{errors.__doc__} ".replace("\n", " ")


ARGUMENTS: dict[type[drawwell.DrawwellError], tuple[Any, ...]] = {
    drawwell.WriteError: (Path("x"), 3, OSError(28, "No space left on device"))
}


@pytest.mark.parametrize("kind", PUBLIC)
def test_an_exception_can_be_pickled_and_copied(kind: type[drawwell.DrawwellError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ("a sentence",)))
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert (str(again), vars(again)) == (str(error), {"__notes__": ["a note"]})


def test_what_the_server_said_travels_with_the_exception() -> None:
    error = drawwell.UnavailableError("busy")
    assert (error.is_temporary, error.retry_after) == (True, None)
    error.retry_after = 3.0
    assert pickle.loads(pickle.dumps(error)).retry_after == 3.0
    assert not drawwell.ResponseError("other").is_temporary
