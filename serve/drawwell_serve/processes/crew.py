"""The workers of a server: each is started again when it has died, and all are ended together."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass

from bentoml._internal.configuration.containers import BentoMLContainer

from drawwell_serve.processes import worker as process
from drawwell_serve.processes.handover import Handover
from drawwell_serve.processes.shared_metrics import SharedMetrics
from drawwell_serve.settings import Settings

PATIENCE = 3
"""Times that a worker may fail in a row before it is ready, while the server starts or reloads."""
_MOST_PAUSE_SECONDS = 30.0
_READY_SECONDS = 120.0
"""From the start of a worker until it is ready; the supervisor has loaded the same libraries and the same generator before."""
_KILL_SECONDS = 5.0
"""That the kernel gets for a killed process, whose driver may hold it."""

logger = logging.getLogger("drawwell.serve")


@dataclass(frozen=True)
class Command:
    """The command line of a worker, BentoML's own, and the folder where it runs."""

    bento: str
    folder: str
    options: tuple[str, ...]

    def line(self, place: int, listener: int) -> list[str]:
        """For the worker in ``place`` 1, 2, ..., which takes connections from the descriptor ``listener``."""
        python = [sys.executable, "-m", "_bentoml_impl.worker.service", self.bento, "--service-name", "drawwell"]
        arguments = json.dumps(BentoMLContainer.bento_arguments.get())
        return [*python, "--fd", str(listener), "--worker-id", str(place), "--args", arguments, *self.options]

    @property
    def has_tls(self) -> bool:
        return "--ssl-certfile" in self.options


@dataclass(frozen=True)
class Site:
    """What all workers of a server have in common, from its start to its end."""

    settings: Settings
    command: Command
    listener: socket.socket
    metrics: SharedMetrics


class Crew:
    """The workers for one handover. ``complete`` once all have been ready; ``hopeless`` if one cannot get ready before."""

    def __init__(self, site: Site, handover: Handover, side: int = 0) -> None:
        """``side`` 0 or 1 is the half of the metrics' slots that it takes; two crews that live at once must not share one."""
        self._site, self._handover, self.side = site, handover, side
        self.complete, self.hopeless, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready = set[int]()
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(1, site.settings.workers + 1)]
        for keeper in self._keepers:
            keeper.add_done_callback(self._give_up_if_failed)

    async def stop(self) -> None:
        """End the workers; one that has not ended after ``kill_seconds`` is killed."""
        self._stopping.set()
        self._send(signal.SIGTERM)
        await asyncio.wait(self._keepers, timeout=self._site.settings.kill_seconds)
        for place, worker in self._processes.items():
            logger.error("worker %d (process %d) does not end: it is killed", place, worker.pid)
        self.kill()
        await asyncio.wait(self._keepers, timeout=_KILL_SECONDS)
        self._handover.content.close()

    def kill(self) -> None:
        """End the workers at once."""
        self._send(signal.SIGKILL)

    def _give_up_if_failed(self, keeper: asyncio.Task[None]) -> None:
        if not keeper.cancelled() and (error := keeper.exception()):
            logger.error("a worker is not looked after any more", exc_info=error)
            self.hopeless.set()

    def _send(self, number: int) -> None:
        for worker in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    async def _keep(self, place: int) -> None:
        """One worker after another, until told to stop. One that was not ready is started again after a growing pause."""
        failures = 0
        while not self._stopping.is_set():
            failures = 0 if await self._live(place) else failures + 1
            if failures == PATIENCE and not self.complete.is_set():
                logger.error("worker %d cannot get ready: it failed %d times", place, failures)
                self.hopeless.set()
            if failures:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), min(2.0 ** (failures - 1), _MOST_PAUSE_SECONDS))

    async def _live(self, place: int) -> bool:
        """The life of a worker; whether it has ever been ready."""
        slot = self._site.settings.workers * self.side + place - 1
        try:
            worker, ready = await self._spawn(place, slot)
        except OSError as error:
            logger.error("worker %d cannot be started: %s", place, error.strerror)
            return False
        self._processes[place] = worker
        if self._stopping.is_set():
            self._send(signal.SIGTERM)
        was_ready = await self._is_ready(place, worker, ready)
        if was_ready:
            self._ready.add(place)
            if len(self._ready) == self._site.settings.workers:
                self.complete.set()
        code = await worker.wait()
        del self._processes[place]
        self._site.metrics.forget(slot)
        if not self._stopping.is_set():
            logger.error("worker %d (process %d) %s; another takes its place", place, worker.pid, _end(code))
        return was_ready

    async def _is_ready(self, place: int, worker: asyncio.subprocess.Process, ready: int) -> bool:
        """Whether the worker gets ready before it ends; one that hangs is killed."""
        try:
            return await asyncio.wait_for(_byte(ready), _READY_SECONDS)
        except TimeoutError:
            logger.error(
                "worker %d (process %d) is not ready after %g s: it is killed", place, worker.pid, _READY_SECONDS
            )
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            return False

    async def _spawn(self, place: int, slot: int) -> tuple[asyncio.subprocess.Process, int]:
        """A worker, and the descriptor at which it says that it is ready."""
        site, content = self._site, self._handover.content
        ready, tell = os.pipe()
        try:
            worker = await asyncio.create_subprocess_exec(
                *site.command.line(place, site.listener.fileno()),
                cwd=site.command.folder,
                env=self._environment() | process.variables(site.metrics, slot, tell),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(site.listener.fileno(), tell, site.metrics.descriptor, content.descriptor),
                start_new_session=True,  # Ctrl+C is the supervisor's
            )
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(tell)
        return worker, ready

    def _environment(self) -> dict[str, str]:
        handed_on = self._handover.variables()
        return {name: value for name, value in os.environ.items() if not name.startswith("DRAWWELL_KEY")} | handed_on


async def _byte(descriptor: int) -> bool:
    """Whether a byte comes before the other end is closed. Closes the descriptor."""
    loop = asyncio.get_running_loop()
    read = asyncio.Event()
    loop.add_reader(descriptor, read.set)
    try:
        await read.wait()
        return bool(os.read(descriptor, 1))
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was ended by {names.get(-code, f'signal {-code}')}"
