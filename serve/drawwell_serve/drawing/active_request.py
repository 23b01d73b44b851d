"""A request that was admitted and is being answered."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator

from drawwell_serve.drawing.work import Work

PATIENCE_SECONDS = 2.0
"""When all places are taken, a reply that has waited longer than this for its client, in total, may lose its place."""


class ActiveRequest:
    """The state of one admitted request: its images, its share of the engine, and how fast its client reads.

    Args:
        work: What it waits for: drawing, or judging.
        is_disconnected: Whether the client has left.
        abort: Closes the connection at once.
        images_left: Images that are still to be drawn or judged.
        images_held: Images of a reply that is built in memory as a whole.
    """

    def __init__(
        self,
        work: Work,
        is_disconnected: Callable[[], bool] = lambda: False,
        abort: Callable[[], None] = lambda: None,
        images_left: int = 0,
        images_held: int = 0,
    ) -> None:
        self.work, self.is_disconnected, self.abort = work, is_disconnected, abort
        self.images_left, self.images_held = images_left, images_held
        self.row_seconds = work.row_seconds
        """What each of its images is taken to cost, for as long as it is being answered."""
        self.finish = 0.0
        """The finish tag of the scheduler's fair queue."""
        self.finds_length = False
        """Whether images are drawn only to learn how long the reply is. The client does not have to read for that."""
        self._began = time.monotonic()
        self._sent_bytes, self._read_seconds, self._reading_since = 0, 0.0, math.inf

    @contextlib.contextmanager
    def reading(self, count: int) -> Iterator[None]:
        """Count the time inside as waiting for the client to read; afterwards ``count`` more bytes have been sent."""
        self._reading_since = time.monotonic()
        try:
            yield
        finally:
            self._read_seconds = self._seconds_read(time.monotonic())
            self._reading_since = math.inf
            self._sent_bytes += count

    def waits_for_client(self) -> bool:
        """Whether the reply has waited for its client longer than for the engine, and for more than ``PATIENCE_SECONDS``."""
        now = time.monotonic()
        return self._seconds_read(now) > max(PATIENCE_SECONDS, (now - self._began) / 2)

    def bytes_a_second(self) -> float:
        """The rate at which the client reads while the reply waits for it."""
        return self._sent_bytes / max(self._seconds_read(time.monotonic()), 1e-9)

    def _seconds_read(self, now: float) -> float:
        return self._read_seconds + max(0.0, now - self._reading_since)
