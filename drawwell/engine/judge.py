"""A discriminator file on ONNX Runtime: pictures in, opinions out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from drawwell import forking
from drawwell.engine.cores import cores
from drawwell.engine.judgement import Judgement
from drawwell.engine.onnx_session import open_discriminator
from drawwell.errors import GeneratorFileError, PictureError, ProviderError, RequestError
from drawwell.files.discriminator_card import DiscriminatorCard, Logits, known_labels, known_pictures
from drawwell.files.discriminator_file import read_discriminator
from drawwell.files.labels import LabelChoice, check_labels
from drawwell.generator import Images
from drawwell.image_request import Feeds
from drawwell.install import needed_for
from drawwell.pieces import slices
from drawwell.text import printable, reason

PIECE_PICTURES = 64
_NAMED = -1
"""The label that stands for the most likely class."""
MAX_PICTURE_BYTES = 2**28
"""The largest file of a picture."""


class Judge:
    """The discriminator of a run, which ``drawwell export`` writes beside the generator. It computes on the CPU.

    Any number of threads may call. A forked process loads the file again.

    Example:
        >>> with drawwell.Judge("runs/digits/discriminator.onnx") as judge:  # doctest: +SKIP
        ...     opinion = judge.judge_files(["seven.png"])[0]
        >>> opinion.percentile_real, opinion.class_name  # doctest: +SKIP
        (41.5, '7')
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        """Load and check a discriminator file, and judge its known pictures.

        Args:
            path: The discriminator file.
            threads: The threads of one run; by default one for each core.

        Raises:
            GeneratorFileError: The file is no whole, valid discriminator.
            ProviderError: The logits of its known pictures are wrong.
        """
        # read before its path is resolved: that of shared memory leads nowhere then
        file = read_discriminator(Path(path))
        self._path, self._threads = Path(path).resolve(), threads or cores()
        self._card, self._digest, self._closed = file.card, file.digest, False
        self._session: Any = open_discriminator(file, self._threads)
        self.check()
        forking.at_fork(self, Judge._forked)

    @property
    def card(self) -> DiscriminatorCard:
        """The card: image size, classes, training data, and what the logits mean."""
        return self._card

    @property
    def digest(self) -> str:
        """SHA-256 of the discriminator file, 64 hex digits."""
        return self._digest

    def judge(self, images: Images, labels: LabelChoice | None = None) -> list[Judgement]:
        """Judge images, uint8 ``[N, H, W, C]`` in the shape of the card.

        Args:
            images: The images.
            labels: With classes: the class of the images, by name or by index, one for all or one for each. By default each image is
                judged under the class that the discriminator's features name.

        Raises:
            RequestError: The images have another shape or type, a label is wrong, or the judge is closed.
            ProviderError: Judging failed.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self._card.image_shape:
            shape = "N, " + ", ".join(map(str, self._card.image_shape))
            raise RequestError(f"images must be uint8 [{shape}], not {images.dtype} {[*images.shape]}")
        checked = check_labels(self._card, labels, len(images))
        given = None if checked is None else np.full(len(images), checked, np.int64)
        feeds = self.feeds(images, given)
        rows = [
            self.logits({name: values[piece] for name, values in feeds.items()})
            for piece in slices(len(images), PIECE_PICTURES)
        ]
        return self.judgements(np.concatenate(rows), given) if rows else []

    def judge_files(self, files: Sequence[str | Path], labels: LabelChoice | None = None) -> list[Judgement]:
        """Judge pictures of any size, fitted as ``read`` does. Raises ``PictureError``, and as ``judge``."""
        return self.judge(np.stack([self.read(file) for file in files]), labels) if files else []

    def read(self, file: str | Path) -> Images:
        """Decode a picture and fit it as training does, shorter side first: uint8 ``[H, W, C]``.

        Raises ``PictureError`` with a sentence that names the file.
        """
        with needed_for("judging pictures", "cpu"):
            from drawwell.formats import pictures

        path, name = Path(file), printable(file)
        try:
            if not path.is_file():  # to open a pipe would wait for ever
                raise PictureError("is not a file" if path.exists() else "no such file")
            if path.stat().st_size > MAX_PICTURE_BYTES:
                raise PictureError(f"has more than {MAX_PICTURE_BYTES:,} bytes")
            return pictures.decode(path.read_bytes(), self._card.image_shape, pictures.formats_of(path.name))
        except (OSError, ValueError) as error:
            raise PictureError(f"{name}: cannot be read ({reason(error)})") from error
        except PictureError as error:
            raise PictureError(f"{name}: {error}") from error.__cause__

    def feeds(self, images: Images, labels: npt.NDArray[np.int64] | None = None) -> Feeds:
        """Return the inputs of the graph for ``images`` under ``labels``, or under the classes that it names itself."""
        if not self._card.class_names:
            return {"images": images}
        return {"images": images, "label": np.full(len(images), _NAMED) if labels is None else labels}

    def logits(self, feeds: Feeds) -> Logits:
        """Judge images in one run: for each its logit, and the scores of its K classes, float32 ``[N, 1 + K]``.

        Raises ``ProviderError`` if judging fails, ``RequestError`` if the judge is closed.
        """
        session, outputs = self._opened(), ["logit", "class_scores"] if self._card.class_names else ["logit"]
        try:
            logit, *scores = session.run(outputs, feeds)
        except Exception as error:  # onnxruntime's exceptions have no common base but this one
            raise ProviderError(f"judging failed ({printable(str(error).splitlines()[0])})") from error
        return np.concatenate([logit[:, None], *scores], 1)

    def judgements(self, logits: Logits, labels: npt.NDArray[np.int64] | None = None) -> list[Judgement]:
        """Return the opinions that rows of ``logits`` are, under ``labels`` int64 ``[N]`` or else under the classes found."""
        if not self._card.class_names:
            return [Judgement.of(self._card, float(row[0]), None, False) for row in logits]
        chosen = logits[:, 1:].argmax(1) if labels is None else labels
        return [
            Judgement.of(self._card, float(row[0]), int(label), labels is not None)
            for row, label in zip(logits, chosen, strict=True)
        ]

    def check(self) -> None:
        """Judge the known pictures of the card. Raises ``ProviderError`` if a logit is wrong."""
        known = self._card.known_logits
        distance = known.distance(
            self.logits(self.feeds(known_pictures(self._card.image_shape), known_labels(len(self._card.class_names))))
        )
        if not distance <= known.tolerance:
            raise ProviderError(
                f"{printable(self._path)}: the logits of its known pictures are off by {distance:.2g}, and {known.tolerance:g} is allowed: "
                "the weights in the file, this build of onnxruntime or this processor is at fault; export the run again"
            )

    def close(self) -> None:
        """Free the session. The judge answers no more."""
        self._closed, self._session = True, None

    def __enter__(self) -> Self:
        """Return the judge; the ``with`` block closes it at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> Any:
        """The session. A local name keeps it while another thread closes the judge."""
        if self._closed:
            raise RequestError("this judge is closed: open it again")
        if self._session is None:
            file = read_discriminator(self._path)
            if file.digest != self._digest:
                raise GeneratorFileError(f"{printable(self._path)}: has changed since it was opened: open it again")
            self._session = open_discriminator(file, 1)
        return self._session

    def __reduce__(self) -> tuple[Any, ...]:
        return Judge, (self._path, 1)

    def _forked(self) -> None:
        forking.keep(self._session)
        self._session = None
