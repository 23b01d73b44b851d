"""Many requests, in a process of its own: `python -m tests.torture.flood PORT IMAGES SECONDS closed CLIENTS`, or `... open RATE`.

Closed are clients that ask again when they have been answered; open are requests that come at a rate a second, whatever became of
those before. Prints what was seen as JSON.
"""

import asyncio
import itertools
import json
import math
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from drawwell.formats.npy import FOOTER_MAGIC

_COMING_BACK = 8
_KEPT_SECONDS = 3
"""That a connection is idle before another is made; the server closes it after five."""
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Seen:
    """Of the replies within the time; ``outstanding`` are requests without one, as their senders see it."""

    sent: int = 0
    whole: float = 0.0
    """Replies, of which the part counts that came within the time; they are whole all the same, be it later."""
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[float, int]] = field(default_factory=list)
    """When, and for how many seconds."""
    least_full: dict[str, list[int]] = field(default_factory=dict)
    """By the code of a refusal: the least that the server said it had in hand, and the least outstanding requests."""


class Flood:
    """The requests and the connections, which are kept."""

    def __init__(self, port: int, images: int, seconds: float) -> None:
        self._port, self._images, self._until = port, images, time.monotonic() + seconds
        self._seeds, self._outstanding, self.seen = itertools.count(), 0, Seen()
        self._idle: list[tuple[float, _Connection]] = []

    async def closed(self, clients: int) -> None:
        """Clients that ask one request after the other."""

        async def ask_on() -> None:
            while time.monotonic() < self._until:
                await self.ask()

        await asyncio.gather(*(ask_on() for _ in range(clients)))

    async def open(self, rate: float) -> None:
        """Requests at a rate; afterwards the last that were refused come back when they were told to."""
        begin, asking = time.monotonic(), set[asyncio.Task[str]]()
        for number in itertools.count():
            if (due := begin + number / rate) >= self._until:
                break
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            asking.add(task := asyncio.create_task(self.ask()))
            task.add_done_callback(asking.discard)
        back = await asyncio.gather(*(self._come_back(*one) for one in self.seen.refusals[-_COMING_BACK:]))
        await asyncio.gather(*asking)
        self.seen.outcomes.update(f"come back: {outcome}" for outcome in back)

    async def _come_back(self, refused: float, seconds: int) -> str:
        await asyncio.sleep(refused + seconds - time.monotonic())
        return await self.ask()

    async def ask(self) -> str:
        """What became of one request."""
        self._outstanding += 1
        self.seen.sent += 1
        outstanding = self._outstanding
        try:
            outcome = await self._exchange(outstanding)
        except (OSError, asyncio.IncompleteReadError) as error:
            outcome = type(error).__name__
        self._outstanding -= 1
        if time.monotonic() < self._until or outcome not in ("200", "429", "503"):
            self.seen.outcomes[outcome] += 1
        return outcome

    async def _exchange(self, outstanding: int) -> str:
        reader, writer = await self._connection()
        body = b'{"seed": %d, "count": %d}' % (next(self._seeds), self._images)
        head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/x-npy\r\n"
        writer.write(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        content, share = await self._content(reader, int(_header(answer, "content-length")))
        self._idle.append((time.monotonic(), (reader, writer)))
        status = answer.split(" ", 2)[1]
        if status in ("429", "503"):
            return self._refused(status, _header(answer, "retry-after"), content, max(outstanding, self._outstanding))
        if status == "200" and content[-40:-32] != FOOTER_MAGIC:
            return "not whole"
        self.seen.whole += share if status == "200" else 0
        return status

    async def _content(self, reader: asyncio.StreamReader, length: int) -> tuple[bytes, float]:
        """The body, and how much of it came within the time."""
        content, in_time = bytearray(), 0
        while len(content) < length:
            if not (came := await reader.read(length - len(content))):
                raise asyncio.IncompleteReadError(bytes(content), length)
            content += came
            if time.monotonic() < self._until:
                in_time = len(content)
        return bytes(content), in_time / length

    async def _connection(self) -> _Connection:
        """The one used last, or a new one."""
        if self._idle and time.monotonic() - self._idle[-1][0] < _KEPT_SECONDS:
            return self._idle.pop()[1]
        for _, (_, writer) in self._idle:
            writer.close()
        self._idle.clear()
        return await asyncio.open_connection("127.0.0.1", self._port)

    def _refused(self, status: str, retry_after: str, content: bytes, outstanding: int) -> str:
        if not re.fullmatch("[1-9][0-9]*", retry_after):
            return f"{status} with Retry-After: {retry_after}"
        error = json.loads(content)["error"]
        said = int((re.findall(r"\d+", error["message"].replace(",", "")) or ["0"])[0])
        least = self.seen.least_full.get(error["code"], [sys.maxsize, sys.maxsize])
        self.seen.least_full[error["code"]] = [min(least[0], said), min(least[1], outstanding)]
        self.seen.refusals.append((time.monotonic(), int(retry_after)))
        return status


def _header(answer: str, name: str) -> str:
    found = re.search(rf"^{name}: *([^\r]*)\r", answer, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


async def main(port: int, images: int, seconds: float, kind: str, many: float) -> None:
    flood = Flood(port, images, seconds)
    await (flood.closed(math.ceil(many)) if kind == "closed" else flood.open(many))
    seen, waits = flood.seen, [wait for _, wait in flood.seen.refusals]
    told = {
        "requests_a_second": seen.sent / seconds,
        "replies_a_second": seen.whole / seconds,
        "outcomes": dict(seen.outcomes),
        "least_full": seen.least_full,
        "retry_after": [min(waits), max(waits)] if waits else [],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], float(sys.argv[5])))
