"""Drawn images as a stream for torch, shared among ranks and workers."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from drawwell.datasets.addresses import AddressList, SelectionSource, Source, address_list, check_fresh
from drawwell.datasets.items import Epoch, Item, Transform, items_of
from drawwell.errors import RequestError
from drawwell.files.labels import LabelChoice
from drawwell.generator import Batch, ImageGenerator
from drawwell.install import needed_for
from drawwell.pieces import pieces
from drawwell.text import printable

with needed_for("a torch dataset", "train"):
    import torch
    from torch.utils.data import IterableDataset, get_worker_info

REQUEST_IMAGES, PREFETCH = 512, 2


class TorchStream(IterableDataset[Item]):
    """Drawn images with their labels as a stream that draws ahead.

    The items are those of ``TorchDataset``. Worker ``w`` of ``W`` on rank ``r`` of ``R`` yields the images of index
    ``start + r * W + w``, and every ``R * W``-th after it: the workers of all ranks together yield each image once, and no two
    of them yield numbers of images that differ by more than 1. While a piece of images is used, the next ones are drawn.

    The images of a seed are independent of each other, so there is nothing to shuffle. For a stream without end give a size that no
    training reaches, as 2**40. Without a length, a ``DataLoader`` ends when all workers have ended.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> stream = drawwell.datasets.TorchStream("fashion", seed=7, size=2**40, threads=1)
        >>> images, labels = next(iter(DataLoader(stream, batch_size=64)))
        >>> images.shape, images.dtype, labels.dtype
        (torch.Size([64, 1, 28, 28]), torch.uint8, torch.int64)
    """

    def __init__(
        self,
        generator: Source,
        seed: int | None = None,
        size: int | None = None,
        start: int = 0,
        transform: Transform | None = None,
        labels: LabelChoice | None = None,
        *,
        selection: SelectionSource | None = None,
        fresh_each_epoch: bool = False,
        request_images: int = REQUEST_IMAGES,
        prefetch: int = PREFETCH,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Any,
    ) -> None:
        """Open the generator if it is not open, check the arguments, and draw the first and the last image.

        Args:
            generator: An open generator, or what ``drawwell.open`` opens: a name, a path, a URL or a list of URLs.
            seed: The stream of images, in [0, 2**63).
            size: The number of images of all ranks and workers together, at least 1.
            start: The index of the first image.
            transform: Called with each image, uint8 ``[C, H, W]``.
            labels: The classes to draw, by name or by index: one for all images, or one for each.
            selection: A ``drawwell.Selection``, or the path of its file, in place of ``seed``, ``size``, ``start`` and ``labels``.
            fresh_each_epoch: Epoch ``e`` begins at index ``start + e * size``. ``set_epoch`` sets ``e``.
            request_images: Images that are drawn with one call, at least 1.
            prefetch: Calls whose images each worker draws ahead, at least 0.
            rank: Of this process; by default the rank in ``torch.distributed``, or else the variable RANK, which torchrun sets, or 0.
            world_size: The number of ranks; by default as for ``rank``, with the variable WORLD_SIZE, or 1.
            options: Of ``drawwell.open``, as ``key`` and ``timeout``, if it opens the generator.

        Raises:
            RequestError: An argument, or a variable of torchrun, is wrong.
            GeneratorFileError: There is no such generator, or the file is no whole, valid one.
            SelectionError: The selection cannot be read, or its images are of another generator.
            ServerError: The server cannot be used (remote generators only).
        """
        check_fresh(fresh_each_epoch, selection)
        if request_images < 1 or prefetch < 0:
            raise RequestError(
                f"request_images must be at least 1 and prefetch at least 0, not {request_images} and {prefetch}"
            )
        # here, since a worker process that is spawned is in no process group
        self._rank, self._world_size = _rank_and_world_size(rank, world_size)
        self._addresses = address_list(generator, seed, size, start, labels, selection, options)
        self._transform, self._request_images, self._prefetch = transform, request_images, prefetch
        self._fresh, self._epoch = fresh_each_epoch, Epoch()

    @property
    def generator(self) -> ImageGenerator:
        """The generator that draws. Close it when you no longer use the stream."""
        return self._addresses.generator

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch ``epoch`` with the next pass: call it before each pass, on every rank.

        Worker processes see it, persistent ones too. Without ``fresh_each_epoch`` every epoch has the same images.

        Raises:
            RequestError: The epoch is negative, or has indices of 2**63 or more.
        """
        if self._fresh:
            self._addresses.check_epoch(epoch)
            self._epoch.set(epoch)

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        share = range(self._rank * workers + number, len(self._addresses), self._world_size * workers)
        for batch in _drawn_ahead(self._addresses, share, self._epoch.get(), self._request_images, self._prefetch):
            yield from items_of(batch, self._transform)


def _drawn_ahead(
    addresses: AddressList, share: range, epoch: int, request_images: int, prefetch: int
) -> Iterator[Batch]:
    """Draw ``share`` in pieces, up to ``prefetch`` of them while one is used."""
    under_way: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1, "prefetch") as pool:
        try:
            for positions in pieces(share, request_images):
                under_way.append(pool.submit(partial(addresses.draw, np.array(positions), epoch)))
                if len(under_way) > prefetch:
                    yield under_way.popleft().result()
            yield from (future.result() for future in under_way)
        finally:
            for future in under_way:
                future.cancel()


def _rank_and_world_size(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise RequestError("give rank and world_size together, or neither")
    if rank is None or world_size is None:
        rank, world_size = _from_torch() or (_variable("RANK", 0), _variable("WORLD_SIZE", 1))
    if not 0 <= rank < world_size:
        raise RequestError(f"rank must be in [0, {world_size}), which is the number of ranks, not {rank}")
    return rank, world_size


def _from_torch() -> tuple[int, int] | None:
    group = torch.distributed
    if not (group.is_available() and group.is_initialized()):
        return None
    return group.get_rank(), group.get_world_size()


def _variable(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "").strip() or str(otherwise)
    if not text.isdecimal():
        raise RequestError(f"the variable {name} must be an integer, not {printable(text)!r}: give rank and world_size")
    return int(text)
