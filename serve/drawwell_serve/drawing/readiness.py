"""Whether runs of a kind come out right."""

import asyncio
import logging
from collections.abc import Callable

from drawwell.errors import ProviderError
from drawwell_serve.drawing.work import Work
from drawwell_serve.errors import ApiError

logger = logging.getLogger("drawwell.serve")


class Readiness:
    """After a failed run of ``work``, ``check`` must pass before it counts as ready again.

    Args:
        work: The runs.
        check: Raises ``ProviderError`` if the known answers do not come out right.
        error: Makes the error for a request that cannot be answered until then.
    """

    def __init__(self, work: Work, check: Callable[[], None], error: Callable[[], ApiError]) -> None:
        self._work, self._known_answers, self._error = work, check, error
        self._checking: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise the error if a run has failed and the known answers do not come out right now."""
        if self._checking is None or self._checking.done():
            if not self._work.failed:
                return
            self._checking = asyncio.create_task(self._check_again())
        try:
            # one check at a time, however many requests wait for it
            await asyncio.shield(self._checking)
        except ProviderError:
            raise self._error() from None

    async def _check_again(self) -> None:
        # reset before the check, so that a failure during it is not forgotten
        self._work.failed = False
        try:
            await asyncio.to_thread(self._known_answers)
        except ProviderError as error:
            self._work.failed = True
            logger.error("not ready: %s", error)
            raise
