"""The workers of a server: a dead worker is replaced, and all are ended together."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from dataclasses import dataclass

from drawwell_serve.bentoml_compat.worker_command import WorkerCommand
from drawwell_serve.processes import worker as process
from drawwell_serve.processes.shared_metrics import SharedMetrics
from drawwell_serve.processes.snapshot import Snapshot
from drawwell_serve.settings import Settings

MAX_FAILED_STARTS = 3
"""Failed starts of a worker in a row, while the server starts or reloads, after which the pool is hopeless."""
_MOST_PAUSE_SECONDS = 30.0
_READY_SECONDS = 120.0
"""From the start of a worker until it is ready. The supervisor has loaded the same libraries and generator before."""
_KILL_SECONDS = 5.0
"""From SIGKILL to the end of a process, which a device driver may delay."""

logger = logging.getLogger("drawwell.serve")


@dataclass(frozen=True)
class ServerContext:
    """The things that all workers of a server share, from its start to its end."""

    settings: Settings
    command: WorkerCommand
    listener: socket.socket
    metrics: SharedMetrics


class WorkerPool:
    """The workers that serve one snapshot.

    ``complete`` is set once all have been ready, ``hopeless`` if one cannot get ready before.

    Args:
        context: The things that the workers share.
        snapshot: The generator and the key. The pool closes its memory when it has stopped.
        side: 0 or 1, the half of the metrics' slots that the pool counts in. Two pools at one time need different halves.
    """

    def __init__(self, context: ServerContext, snapshot: Snapshot, side: int = 0) -> None:
        self._context, self._snapshot, self.side = context, snapshot, side
        self.complete, self.hopeless, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready = set[int]()
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(1, context.settings.workers + 1)]
        for keeper in self._keepers:
            keeper.add_done_callback(self._give_up_if_failed)

    async def stop(self) -> None:
        """End the workers. A worker that has not ended after ``kill_seconds`` is killed."""
        self._stopping.set()
        self._send(signal.SIGTERM)
        await asyncio.wait(self._keepers, timeout=self._context.settings.kill_seconds)
        for place, worker in self._processes.items():
            logger.error("worker %d (process %d) did not end in time and is killed", place, worker.pid)
        self.kill()
        await asyncio.wait(self._keepers, timeout=_KILL_SECONDS)
        for memory in self._snapshot.memories:
            memory.close()

    def kill(self) -> None:
        """End the workers at once."""
        self._send(signal.SIGKILL)

    def _give_up_if_failed(self, keeper: asyncio.Task[None]) -> None:
        if not keeper.cancelled() and (error := keeper.exception()):
            logger.error("a worker is no longer restarted: its keeper failed", exc_info=error)
            self.hopeless.set()

    def _send(self, number: int) -> None:
        for worker in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    async def _keep(self, place: int) -> None:
        """Run one worker after another, until the pool stops. The pause grows with each that did not get ready."""
        failures = 0
        while not self._stopping.is_set():
            failures = 0 if await self._live(place) else failures + 1
            if failures == MAX_FAILED_STARTS and not self.complete.is_set():
                logger.error("worker %d cannot start: it failed %d times", place, failures)
                self.hopeless.set()
            if failures:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), min(2.0 ** (failures - 1), _MOST_PAUSE_SECONDS))

    async def _live(self, place: int) -> bool:
        """Run one worker from its start to its end. Return whether it was ever ready."""
        slot = self._context.settings.workers * self.side + place - 1
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
            if len(self._ready) == self._context.settings.workers:
                self.complete.set()
        code = await worker.wait()
        del self._processes[place]
        self._context.metrics.forget(slot)
        if not self._stopping.is_set():
            logger.error("worker %d (process %d) %s; another takes its place", place, worker.pid, _end(code))
        return was_ready

    async def _is_ready(self, place: int, worker: asyncio.subprocess.Process, ready: int) -> bool:
        """Whether the worker gets ready before it ends. A worker that hangs is killed."""
        try:
            return await asyncio.wait_for(_byte(ready), _READY_SECONDS)
        except TimeoutError:
            logger.error(
                "worker %d (process %d) was not ready after %g s and is killed", place, worker.pid, _READY_SECONDS
            )
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            return False

    async def _spawn(self, place: int, slot: int) -> tuple[asyncio.subprocess.Process, int]:
        """Start a worker. Return it with the descriptor that becomes readable when it is ready."""
        context, files = self._context, [memory.descriptor for memory in self._snapshot.memories]
        ready, tell = os.pipe()
        try:
            worker = await asyncio.create_subprocess_exec(
                *context.command.line(place, context.listener.fileno()),
                cwd=context.command.folder,
                env=self._environment()
                | process.variables(context.metrics.descriptor, context.metrics.slots, slot, tell),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(context.listener.fileno(), tell, context.metrics.descriptor, *files),
                start_new_session=True,  # Ctrl+C is for the supervisor alone
            )
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(tell)
        return worker, ready

    def _environment(self) -> dict[str, str]:
        snapshot = self._snapshot.variables()
        own = ("DRAWWELL_KEY", "DRAWWELL_DISCRIMINATOR")  # of the snapshot alone
        return {name: value for name, value in os.environ.items() if not name.startswith(own)} | snapshot


async def _byte(descriptor: int) -> bool:
    """Whether a byte comes before the other end closes. Closes the descriptor."""
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
