"""Drawn images as a data set of the library ``datasets`` of Hugging Face."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from drawwell.datasets.addresses import AddressList, SelectionSource, Source, address_list
from drawwell.errors import RequestError
from drawwell.files.labels import LabelChoice
from drawwell.formats.png import to_pngs
from drawwell.install import needed_for
from drawwell.pieces import slices

if TYPE_CHECKING:
    import datasets

REQUEST_IMAGES = 512


@overload
def hugging_face(
    generator: Source,
    seed: int | None = ...,
    size: int | None = ...,
    start: int = ...,
    labels: LabelChoice | None = ...,
    *,
    selection: SelectionSource | None = ...,
    streaming: Literal[False] = ...,
    request_images: int = ...,
    **options: Any,
) -> "datasets.Dataset": ...


@overload
def hugging_face(
    generator: Source,
    seed: int | None = ...,
    size: int | None = ...,
    start: int = ...,
    labels: LabelChoice | None = ...,
    *,
    selection: SelectionSource | None = ...,
    streaming: Literal[True],
    request_images: int = ...,
    **options: Any,
) -> "datasets.IterableDataset": ...


def hugging_face(
    generator: Source,
    seed: int | None = None,
    size: int | None = None,
    start: int = 0,
    labels: LabelChoice | None = None,
    *,
    selection: SelectionSource | None = None,
    streaming: bool = False,
    request_images: int = REQUEST_IMAGES,
    **options: Any,
) -> "datasets.Dataset | datasets.IterableDataset":
    """Return drawn images as a data set of Hugging Face, with the columns ``image`` (``Image``) and ``label`` (``ClassLabel``).

    A generator without classes has no column ``label``. The package ``datasets`` comes with the extra ``hf``.

    Args:
        generator: An open generator, or what ``drawwell.open`` opens: a name, a path, a URL or a list of URLs.
        seed: The stream of images, in [0, 2**63).
        size: The number of images, at least 1.
        start: The index of the first image.
        labels: The classes to draw, by name or by index: one for all images, or one for each.
        selection: A ``drawwell.Selection``, or the path of its file, in place of ``seed``, ``size``, ``start`` and ``labels``.
        streaming: Draw while the data set is read. It has one shard for each call, which ``split_dataset_by_node`` and the
            workers of a ``DataLoader`` share. Otherwise draw all images now, into the cache of ``datasets`` on the disk,
            where a second call with the same addresses finds them.
        request_images: Images that are drawn with one call, at least 1.
        options: Of ``drawwell.open``, as ``key`` and ``timeout``, if it opens the generator.

    Returns:
        A ``datasets.IterableDataset`` if ``streaming``, else a ``datasets.Dataset``.

    Raises:
        DrawwellError: The package ``datasets`` is not installed.
        RequestError: An argument is wrong.
        SelectionError: The selection cannot be read, or its images are of another generator.
        ServerError: The server cannot be used (remote generators only).

    Example:
        >>> stream = drawwell.datasets.hugging_face("fashion", seed=7, size=50_000, streaming=True)  # doctest: +SKIP
        >>> stream.features["label"].names[:2]  # doctest: +SKIP
        ['T-shirt/top', 'Trouser']
    """
    with needed_for("a Hugging Face data set", "hf"):
        import datasets
    if request_images < 1:
        raise RequestError(f"request_images must be at least 1, not {request_images}")
    addresses = address_list(generator, seed, size, start, labels, selection, options)
    spans = [(span.start, span.stop) for span in slices(len(addresses), request_images)]
    kind = datasets.IterableDataset if streaming else datasets.Dataset
    features, arguments = _features(addresses), {"addresses": addresses, "spans": spans}
    return kind.from_generator(_rows, features=features, gen_kwargs=arguments)


def _features(addresses: AddressList) -> "datasets.Features":
    import datasets

    names = addresses.generator.card.class_names
    label = {"label": datasets.ClassLabel(names=list(names))} if names else {}
    return datasets.Features({"image": datasets.Image(), **label})


def _rows(addresses: AddressList, spans: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """Draw each span of positions. ``datasets`` takes the list as shards, and gives each process a part of it."""
    for first, last in spans:
        batch = addresses.draw(np.arange(first, last))
        labels = [{}] * len(batch) if batch.labels is None else [{"label": label} for label in batch.labels.tolist()]
        for png, label in zip(to_pngs(batch.images), labels, strict=True):
            yield {"image": {"bytes": png, "path": None}, **label}
