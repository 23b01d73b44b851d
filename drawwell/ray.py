"""Drawn images as a data set of Ray Data, which draws them in parallel on one machine or many.

Example:
    >>> import drawwell.ray
    >>> images = drawwell.ray.read("http://drawwell:3000", seed=7, count=1_000_000)  # doctest: +SKIP
    >>> images.write_parquet("s3://bucket/images")  # doctest: +SKIP
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices
from drawwell.datasets.addresses import AddressList, SelectionSource, address_list
from drawwell.errors import RequestError, ServerError
from drawwell.files.labels import CheckedLabels, LabelChoice
from drawwell.formats.png import to_pngs
from drawwell.generator import Batch, ImageGenerator
from drawwell.install import needed_for
from drawwell.opening import is_url, open_generator
from drawwell.text import printable

if TYPE_CHECKING:
    import ray.data

BLOCK_IMAGES = 1024

Columns = dict[str, npt.NDArray[Any]]


def read(
    target: str | Path,
    seed: int | None = None,
    count: int | None = None,
    start: int = 0,
    labels: LabelChoice | None = None,
    *,
    selection: SelectionSource | None = None,
    webdataset: bool = False,
    block_images: int = BLOCK_IMAGES,
    **options: Any,
) -> "ray.data.Dataset":
    """Return drawn images as a ``ray.data.Dataset``, which Ray draws when it is used, block by block, in its own processes.

    A block is a range of addresses, so a block that Ray draws again after a failure has the same bytes, and every address is in the
    data set once. Ray's ``write_parquet`` and ``write_webdataset`` write it. Ray comes with the extra ``ray``.

    Args:
        target: A name, a path that every machine has, or a URL. Each process opens it once.
        seed: The stream of images, in [0, 2**63).
        count: The number of images, at least 1.
        start: The index of the first image.
        labels: The classes to draw, by index: one for all images, or one for each.
        selection: A ``drawwell.Selection``, or the path of its file, in place of ``seed``, ``count``, ``start`` and ``labels``.
        webdataset: Columns for ``write_webdataset``: ``__key__`` (SEED-INDEX), ``png`` and ``cls``. By default the columns are
            ``image`` (uint8 ``[H, W, C]``), ``index`` (int64) and ``label`` (int64). A generator without classes has no ``cls`` and no
            ``label``.
        block_images: The most images in a block, at least 1.
        options: Of ``drawwell.open``, as ``timeout`` and ``threads``. A ``key`` travels to Ray's processes with them.

    Raises:
        DrawwellError: Ray is not installed.
        RequestError: An argument is wrong.
        SelectionError: The selection cannot be read, or its images are of another generator.
        ServerError: The server cannot be used.
    """
    with needed_for("a data set of Ray", "ray"):
        import ray.data
    if block_images < 1:
        raise RequestError(f"block_images must be at least 1, not {block_images}")
    if not is_url(target):
        options = {"threads": 1} | options  # Ray runs one process for each core
    with open_generator(target, **options) as generator:
        addresses = address_list(generator, seed, count, start, labels, selection, {})
        draw = _Draw(target, options, generator.digest, addresses.seed, addresses.indices, addresses.labels, webdataset)
    positions = ray.data.range(len(addresses), override_num_blocks=-(-len(addresses) // block_images))
    return positions.map_batches(draw.columns, batch_size=block_images)


@dataclass(frozen=True)
class _Draw:
    """What a process of Ray needs to draw a block. It travels as values, and the process opens the generator itself."""

    target: str | Path
    options: dict[str, Any]
    digest: str
    seed: int
    indices: CheckedIndices
    labels: CheckedLabels | None
    webdataset: bool

    def columns(self, positions: Columns) -> Columns:
        generator = _opened(self.target, tuple(self.options.items()))
        if generator.digest != self.digest:
            raise ServerError(
                f"{printable(self.target)}: is now the generator {generator.digest[:12]}, and this data set is of "
                f"{self.digest[:12]}: read again"
            )
        batch = AddressList(generator, self.seed, self.indices, self.labels).draw(positions["id"])
        return _webdataset_columns(batch) if self.webdataset else _array_columns(batch)


@functools.cache
def _opened(target: str | Path, options: tuple[tuple[str, Any], ...]) -> ImageGenerator:
    """Open a generator once in a process, whatever the number of blocks."""
    return open_generator(target, **dict(options))


def _array_columns(batch: Batch) -> Columns:
    labels = {} if batch.labels is None else {"label": batch.labels}
    return {"image": batch.images, "index": np.array(batch.indices), **labels}


def _webdataset_columns(batch: Batch) -> Columns:
    labels = {} if batch.labels is None else {"cls": batch.labels}
    keys = np.array([f"{batch.seed}-{index}" for index in batch.indices])
    return {"__key__": keys, "png": np.array(to_pngs(batch.images), object), **labels}
