"""Drawn images as a data set of Ray Data, which draws them in parallel on one machine or on many."""

import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drawwell.datasets.addresses import AddressList, SelectionSource, Source, address_list, open_source
from drawwell.errors import RequestError
from drawwell.files.labels import LabelChoice
from drawwell.formats.png import to_pngs
from drawwell.generator import Batch
from drawwell.install import needed_for

if TYPE_CHECKING:
    import ray.data

BLOCK_IMAGES = 1024

Columns = dict[str, npt.NDArray[Any]]


def ray_dataset(
    generator: Source,
    seed: int | None = None,
    size: int | None = None,
    start: int = 0,
    labels: LabelChoice | None = None,
    *,
    selection: SelectionSource | None = None,
    webdataset: bool = False,
    block_images: int = BLOCK_IMAGES,
    **options: Any,
) -> "ray.data.Dataset":
    """Return drawn images as a ``ray.data.Dataset``. Ray draws them when it needs them, in its own processes.

    A block is a range of addresses. So a block that Ray draws again after a failure has the same bytes, and every address is in the data
    set once. Blocks may come in any order. Ray comes with the extra ``ray``.

    Args:
        generator: An open generator, or what ``drawwell.open`` opens: a name, a URL, a list of URLs, or a path that every machine of
            the cluster has.
        seed: The stream of images, in [0, 2**63).
        size: The number of images, at least 1.
        start: The index of the first image.
        labels: The classes to draw, by name or by index: one for all images, or one for each.
        selection: A ``drawwell.Selection``, or the path of its file, in place of ``seed``, ``size``, ``start`` and ``labels``.
        webdataset: Columns for ``write_webdataset(folder, encoder=None)``: ``__key__`` (SEED-INDEX), ``png``, and ``cls`` of a
            generator with classes. By default: ``image`` (uint8 ``[H, W, C]``), ``index`` (int64), and ``label`` (int64) of a
            generator with classes.
        block_images: The most images in a block, at least 1.
        options: Of ``drawwell.open``, as ``key`` and ``timeout``, if it opens the generator. They travel to Ray's processes.

    Raises:
        DrawwellError: Ray is not installed.
        RequestError: An argument is wrong.
        SelectionError: The selection cannot be read, or its images are of another generator.
        ServerError: The server cannot be used (remote generators only).

    Example:
        >>> images = drawwell.datasets.ray_dataset("http://drawwell:3000", seed=7, size=1_000_000)  # doctest: +SKIP
        >>> images.write_parquet("s3://bucket/images")  # doctest: +SKIP
    """
    with needed_for("a data set of Ray", "ray"):
        import ray.data
    if block_images < 1:
        raise RequestError(f"block_images must be at least 1, not {block_images}")
    with ExitStack() as ours:
        opened = open_source(generator, options)
        if opened is not generator:
            ours.callback(opened.close)
        addresses = address_list(opened, seed, size, start, labels, selection, {})
        pickled = pickle.dumps(addresses)
    positions = ray.data.range(len(addresses), override_num_blocks=-(-len(addresses) // block_images))
    return positions.map_batches(
        _Drawer,
        batch_size=None,  # the whole block
        fn_constructor_args=(pickled, webdataset),
        compute=ray.data.ActorPoolStrategy(min_size=1),  # a process opens the generator once, not for each block
    )


class _Drawer:
    """Draws blocks in a process of Ray."""

    def __init__(self, pickled: bytes, webdataset: bool) -> None:
        self._addresses: AddressList = pickle.loads(pickled)  # opens the generator
        self._columns = _webdataset_columns if webdataset else _array_columns

    def __call__(self, positions: Columns) -> Columns:
        return self._columns(self._addresses.draw(positions["id"]))


def _array_columns(batch: Batch) -> Columns:
    labels = {} if batch.labels is None else {"label": batch.labels}
    return {"image": batch.images, "index": np.array(batch.indices), **labels}


def _webdataset_columns(batch: Batch) -> Columns:
    labels = {} if batch.labels is None else {"cls": batch.labels.astype(str)}
    keys = np.array([f"{batch.seed}-{index}" for index in batch.indices])
    return {"__key__": keys, "png": np.array(to_pngs(batch.images), object), **labels}
