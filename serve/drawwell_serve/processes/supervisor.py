"""The supervisor: it listens, starts the workers, replaces a dead worker, and ends them all.

It takes no commands except signals: SIGTERM and SIGINT end the server, SIGHUP reads the generator and the key again.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import resource
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from drawwell.errors import DrawwellError
from drawwell_serve import log
from drawwell_serve.bentoml_compat import serve_command
from drawwell_serve.bentoml_compat.worker_command import WorkerCommand
from drawwell_serve.processes import listener
from drawwell_serve.processes.shared_metrics import SharedMetrics
from drawwell_serve.processes.snapshot import Snapshot, take_snapshot
from drawwell_serve.processes.worker_pool import ServerContext, WorkerPool
from drawwell_serve.settings import Settings, unknown_variables

logger = logging.getLogger("drawwell.serve")

Value = TypeVar("Value")


def serve(given: Mapping[str, Any], command: WorkerCommand, backlog: int | None) -> NoReturn:
    """Serve until a signal ends the server, then end this process.

    Args:
        given: Values of settings, which replace the environment's.
        command: Starts a worker.
        backlog: Connections that may wait in the kernel for a worker; None for the default.

    Raises:
        DrawwellError: The server cannot start.
    """
    settings = replace(Settings(), **given)
    written = log.install(settings.log_format)
    for number in (signal.SIGTERM, signal.SIGINT):  # by default, process 1 of a container ignores SIGTERM
        signal.signal(number, lambda *_: _exit(written, 0))
    # the files are being read now, so a request to read them again has nothing to do
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for sentence in unknown_variables(os.environ):
        logger.warning("%s", sentence)
    if serve_command.has_cors_settings():
        logger.warning("BentoML's CORS settings have no effect: name the origins in DRAWWELL_CORS_ORIGINS")
    address = listener.resolve(settings.host, settings.port)
    settings.check_exposure(address)
    snapshot = take_snapshot(settings)
    metrics = SharedMetrics(2 * settings.workers)
    _take_all_descriptors()
    with listener.listen(address, settings.port, backlog or listener.BACKLOG) as listening:
        scheme, host = "https" if command.has_tls else "http", f"[{address}]" if ":" in address else address
        where = f"{scheme}://{host}:{settings.port}"
        logger.info("serving %s, at %s; the supervisor is process %d", snapshot.in_words(), where, os.getpid())
        _exit(written, asyncio.run(Supervisor(ServerContext(settings, command, listening, metrics)).run(snapshot)))


def _exit(written: log.Log, code: int) -> NoReturn:
    """End this process once its log is written. Python's own exit takes most of a second, and crashes threads that still draw."""
    written.close()
    os._exit(code)


def _take_all_descriptors() -> None:
    """Raise the limit of open files to the machine's: every connection takes a descriptor."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Supervisor:
    """Keeps a pool of workers for one snapshot. On SIGHUP, a pool for a new snapshot takes its place."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._stopped, self._hung_up = asyncio.Event(), asyncio.Event()
        self._leaving = dict[WorkerPool, asyncio.Task[None]]()

    async def run(self, snapshot: Snapshot) -> int:
        """Serve until SIGTERM or SIGINT. Return the exit code: 1 if the workers cannot start."""
        loop = asyncio.get_running_loop()
        self._pool = WorkerPool(self._context, snapshot)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        while (event := await _first(self._stopped, self._pool.hopeless, self._hung_up)) is self._hung_up:
            self._hung_up.clear()
            await self._unless_stopped(self._reload())
        # held to the end, the listener would accept connections that no worker answers any more
        self._context.listener.close()
        self._leave(self._pool)
        await asyncio.wait(self._leaving.values())
        logger.info("the server has ended")
        return 0 if event is self._stopped else 1

    def _stop(self, number: int) -> None:
        if not self._stopped.is_set():
            logger.info("%s: the port is closed, and requests under way are answered", signal.Signals(number).name)
        if self._stopped.is_set() and number == signal.SIGINT:  # the second Ctrl+C
            for pool in self._leaving:
                pool.kill()
        self._stopped.set()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` to its end, or until the server is told to stop."""
        working, stopped = asyncio.create_task(work), asyncio.create_task(self._stopped.wait())
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (working, stopped):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _reload(self) -> None:
        """Start workers for the files as they are now. The old workers stop when all new ones are ready."""
        if self._leaving:
            await asyncio.wait(self._leaving.values())  # the next pool counts in the slots of these workers
        logger.info("SIGHUP: reading the generator and the key again")
        try:
            snapshot = await _on_a_daemon(lambda: take_snapshot(self._context.settings))
        except DrawwellError as error:
            logger.error("SIGHUP: nothing is changed: %s", error)
            return
        except Exception:  # whatever is wrong with the new files, the server goes on with the old ones
            logger.exception("SIGHUP: nothing is changed")
            return
        pool = WorkerPool(self._context, snapshot, side=1 - self._pool.side)
        try:
            if await _first(pool.complete, pool.hopeless) is pool.complete:
                logger.info("SIGHUP: serving %s from now on", snapshot.in_words())
                self._pool, pool = pool, self._pool
            else:
                logger.error("SIGHUP: nothing is changed: the new workers did not get ready")
        finally:
            self._leave(pool)

    def _leave(self, pool: WorkerPool) -> None:
        """Have a pool stop, while others go on."""
        self._leaving[pool] = asyncio.create_task(pool.stop())
        self._leaving[pool].add_done_callback(lambda _: self._leaving.pop(pool))


async def _on_a_daemon(work: Callable[[], Value]) -> Value:
    """Do ``work`` on a thread that does not hold up the end of the process: reading a file may take for ever."""
    outcome = concurrent.futures.Future[Value]()
    outcome.set_running_or_notify_cancel()  # it cannot be cancelled from here on

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="snapshot", daemon=True).start()
    return await asyncio.wrap_future(outcome)


async def _first(*events: asyncio.Event) -> asyncio.Event:
    """Wait until an event is set. If several are set, return the first of them in this order."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return next(event for event in events if event.is_set())
