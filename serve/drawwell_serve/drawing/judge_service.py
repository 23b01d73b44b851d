"""The judge of a server: it fits pictures, and judges them in the queue of the images."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import numpy as np

from drawwell.engine.judge import PIECE_PICTURES, Judge
from drawwell.errors import DrawwellError
from drawwell.files.discriminator_file import check_belongs
from drawwell.generator import Images
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.decoding import Decoding
from drawwell_serve.drawing.readiness import Readiness
from drawwell_serve.drawing.scheduler import Scheduler
from drawwell_serve.drawing.work import Work, piece_rows, seconds_of
from drawwell_serve.errors import RETRY_SECONDS, ApiError
from drawwell_serve.metrics import Metrics

CANNOT_JUDGE = "the server cannot judge pictures now; its log says why"

logger = logging.getLogger("drawwell.serve")


class JudgeService:
    """Judges for many requests at once, in turns with drawing.

    Args:
        judge: The discriminator, whose speed is measured. The service closes it.
        scheduler: The queue of the images.
        metrics: Counts the pictures and the runs.

    Raises:
        ProviderError: The discriminator fails.
    """

    def __init__(self, judge: Judge, scheduler: Scheduler, metrics: Metrics) -> None:
        self.judge, self._scheduler = judge, scheduler
        self.work = Work(judge.logits, metrics.judged, *piece_rows(PIECE_PICTURES, self._seconds))
        self.readiness = Readiness(self.work, judge.check, cannot_judge)
        self.decoding = Decoding(judge.card.image_shape)

    def submit(self, active: ActiveRequest, images: Images, label: int | None) -> "asyncio.Future[Any]":
        """Queue up to ``work.most_rows`` images, uint8 ``[n, H, W, C]``, to judge under ``label`` or under the classes found.

        Returns a future of what ``Judge.logits`` says of them.
        """
        labels = None if label is None else np.full(len(images), label)
        feeds = self.judge.feeds(images, labels)
        return self._scheduler.queue(active, slice(0, len(images)), lambda: feeds, lambda logits, _: logits)

    def about(self) -> dict[str, Any]:
        """The judge, for ``GET /model``."""
        return {"digest": self.judge.digest, "in_words": self.judge.card.in_words()}

    def close(self) -> None:
        """End the thread that decodes, and free the discriminator. Nothing may be queued any more."""
        self.decoding.close()
        self.judge.close()

    def _seconds(self, pictures: int) -> float:
        blank = np.zeros((pictures, *self.judge.card.image_shape), np.uint8)
        return seconds_of(self.judge.logits, self.judge.feeds(blank))


def open_judge_service(file: Path, generator: str, scheduler: Scheduler, metrics: Metrics) -> JudgeService | None:
    """Open the discriminator of the generator with the digest ``generator``; None, with a line in the log, if it cannot be used."""
    try:
        judge = Judge(file, threads=1)  # pieces run side by side, each on one core
        check_belongs(judge.card, file, generator)
        return JudgeService(judge, scheduler, metrics)
    except DrawwellError as error:
        logger.error("pictures are not judged: %s", error)
        return None


def cannot_judge() -> ApiError:
    """The error for a request to a server whose discriminator fails, or cannot be used."""
    return ApiError(503, "judge_failed", CANNOT_JUDGE, headers={"Retry-After": str(RETRY_SECONDS)})
