"""Which failures of a server the client tries again, when, and for how long."""

import email.utils
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from drawwell.errors import ServerError, UnavailableError

if TYPE_CHECKING:
    import tenacity

Result = TypeVar("Result")

logger = logging.getLogger("drawwell.client")


async def retry(
    call: Callable[[float], Awaitable[Result]], seconds: float, sleep: Callable[[float], Awaitable[None]]
) -> Result:
    """Call until it works, for at most ``seconds``; raise the last error when they are over, and an error that is not temporary at once.

    The waits are up to 0.2 s, 0.4 s, ... 5 s, chosen at random so that clients do not come back together. A ``Retry-After``
    is waited for whole, and up to a second more. ``call`` is given the end of its time, of ``time.monotonic``; ``sleep`` waits.
    """
    import tenacity  # so that `import drawwell` stays light

    backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5)  # "full jitter"

    def wait(state: tenacity.RetryCallState) -> float:
        error = _error_of(state)
        asked = error.retry_after if isinstance(error, UnavailableError) else None
        return backoff(state) if asked is None else asked + random.uniform(0, 1)

    def log(state: tenacity.RetryCallState) -> None:
        # a pipeline that waits should say why, and not say it a hundred times
        level = logging.WARNING if state.attempt_number == 1 else logging.DEBUG
        logger.log(level, "%s; trying again for up to %g s", _error_of(state), seconds)

    attempts = tenacity.AsyncRetrying(
        sleep=sleep,
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, ServerError) and error.is_temporary),
        wait=wait,
        stop=tenacity.stop_before_delay(seconds),
        before_sleep=log,
        reraise=True,
    )
    ends = time.monotonic() + seconds

    async def attempt() -> Result:
        return await call(ends)

    return await attempts(attempt)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of either form of ``Retry-After`` (RFC 9110, section 10.2.3), or None if there is no valid one."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _error_of(state: "tenacity.RetryCallState") -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
