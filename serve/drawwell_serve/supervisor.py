"""The supervisor: it listens, starts the workers, starts another in the place of a dead one, and ends them.

It stands in for BentoML 1.4.39's, which is Circus. Circus takes commands from every user of the machine on two loopback ports,
waits a day for a worker that hangs, starts one that cannot start without a pause, and forgets signals while it is busy.
This one takes no commands but signals: SIGTERM and SIGINT end the server, SIGHUP reads generator and key again.
"""

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _bentoml_impl.server
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.serving import construct_ssl_args, construct_timeouts_args

from drawwell.errors import DrawwellError

from . import listening, log, process
from .handover import Handover, take
from .settings import Settings, unknown_variables
from .shared_metrics import SharedMetrics

PATIENCE = 3
"""Times that a worker may fail in a row before it is ready, while the server starts or reloads."""
_MOST_PAUSE_SECONDS = 30.0
_KILL_SECONDS = 5.0
"""That the kernel gets for a killed process, whose driver may hold it."""

logger = logging.getLogger("drawwell.serve")


def install() -> None:
    """Make `bentoml serve` start this supervisor."""
    _bentoml_impl.server.serve_http = serve_http


def serve_http(
    bento_identifier: object,
    working_dir: str | None = None,
    host: str | None = None,
    port: int | None = None,
    backlog: int | None = None,
    timeout: int | None = None,
    timeout_keep_alive: int | None = None,
    timeout_graceful_shutdown: int | None = None,
    development_mode: bool = False,
    reload: bool = False,
    threaded: bool = False,
    **options: Any,
) -> None:
    """Serve until a signal ends it: what `bentoml serve` calls. Exits with 1 and a sentence where the server cannot start."""
    try:
        if reload:
            raise DrawwellError("--reload is not supported: send SIGHUP to read the generator again")
        if threaded or not isinstance(bento_identifier, str):
            raise DrawwellError("start it with `drawwell serve` or `bentoml serve`, as a process of its own")
        worker_options = (
            *construct_ssl_args(**_ssl(options)),
            *construct_timeouts_args(timeout_keep_alive, timeout_graceful_shutdown),
            *(("--timeout", str(timeout)) if timeout else ()),
            *(("--development-mode",) if development_mode else ()),
        )
        command = Command(bento_identifier, str(Path(working_dir or ".").absolute()), worker_options)
        code = _serve(Settings(), command, host, port, backlog or listening.BACKLOG)
    except DrawwellError as error:
        sys.exit(f"drawwell: {error}")
    sys.exit(code)


_SSL = ("certfile", "keyfile", "keyfile_password", "version", "cert_reqs", "ca_certs", "ciphers")


def _ssl(options: dict[str, Any]) -> dict[str, Any]:
    """BentoML's options for TLS, else what its configuration says."""
    return {f"ssl_{name}": options.get(f"ssl_{name}") or BentoMLContainer.ssl[name].get() for name in _SSL}


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


def _serve(settings: Settings, command: Command, host: str | None, port: int | None, backlog: int) -> int:
    log.install(settings.log_format)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as process 1 of a container it would be ignored by default
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the files are read now
    for sentence in unknown_variables(os.environ):
        logger.warning("%s", sentence)
    if BentoMLContainer.http.cors.enabled.get():
        logger.warning("BentoML's CORS settings have no effect here: name the origins in DRAWWELL_CORS_ORIGINS")
    port = port or settings.port
    address = listening.resolve(host or settings.host, port)
    settings.check_exposure(address)
    handover = take(settings)
    metrics = SharedMetrics(2 * settings.workers)
    _take_all_descriptors()
    with listening.listen(address, port, backlog) as listener:
        scheme, host = "https" if command.has_tls else "http", f"[{address}]" if ":" in address else address
        logger.info("serving %s, at %s://%s:%d", handover.in_words(), scheme, host, port)
        return asyncio.run(Supervisor(Site(settings, command, listener, metrics)).run(handover))


def _take_all_descriptors() -> None:
    """Connections are descriptors, and the usual limit is lower than the machine's."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Supervisor:
    """Keeps a crew of workers for what was handed over, and on SIGHUP lets another take its place."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stopped, self._hung_up = asyncio.Event(), asyncio.Event()
        self._generation = 0
        self._leaving = dict[Crew, asyncio.Task[None]]()

    async def run(self, handover: Handover) -> int:
        """Serve until SIGTERM or SIGINT, and return the exit code: 1 where the workers cannot start."""
        loop = asyncio.get_running_loop()
        self._crew = self._crew_of(handover)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        while (event := await _first(self._stopped, self._crew.hopeless, self._hung_up)) is self._hung_up:
            self._hung_up.clear()
            await self._unless_stopped(self._reload())
        self._site.listener.close()  # held to the end, it takes in connections that no worker answers any more
        self._leave(self._crew)
        await asyncio.wait(self._leaving.values())
        return 0 if event is self._stopped else 1

    def _stop(self, number: int) -> None:
        if self._stopped.is_set() and number == signal.SIGINT:  # Ctrl+C once more
            for crew in self._leaving:
                crew.kill()
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
        """Start workers for the files as they are now; only when all are ready do the others stop."""
        if self._leaving:
            await asyncio.wait(self._leaving.values())  # they count where the next crew will
        try:
            handover = await asyncio.to_thread(take, self._site.settings)
        except DrawwellError as error:
            logger.error("SIGHUP: nothing is changed: %s", error)
            return
        except Exception:  # no reason to end a server that serves
            logger.exception("SIGHUP: nothing is changed")
            return
        crew = self._crew_of(handover)
        try:
            if await _first(crew.complete, crew.hopeless) is crew.complete:
                logger.info("SIGHUP: serving %s from now on", handover.in_words())
                self._crew, crew = crew, self._crew
            else:
                logger.error("SIGHUP: nothing is changed: the new workers did not get ready")
        finally:
            self._leave(crew)

    def _leave(self, crew: "Crew") -> None:
        """Have a crew stop, while others go on."""
        self._leaving[crew] = asyncio.create_task(crew.stop())
        self._leaving[crew].add_done_callback(lambda _: self._leaving.pop(crew))

    def _crew_of(self, handover: Handover) -> "Crew":
        self._generation += 1
        return Crew(self._site, handover, self._generation)


class Crew:
    """The workers for one handover. ``complete`` once all have been ready; ``hopeless`` if one cannot get ready before."""

    def __init__(self, site: Site, handover: Handover, generation: int) -> None:
        self._site, self._handover, self._generation = site, handover, generation
        self.complete, self.hopeless, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready = set[int]()
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(1, site.settings.workers + 1)]
        for keeper in self._keepers:
            keeper.add_done_callback(self._give_up_if_failed)

    async def stop(self) -> None:
        """End the workers within ``drain_seconds``; one that hangs is killed."""
        self._stopping.set()
        self._send(signal.SIGTERM)
        await asyncio.wait(self._keepers, timeout=self._site.settings.drain_seconds)
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
        slot = self._site.settings.workers * (self._generation % 2) + place - 1
        try:
            worker, ready = await self._spawn(place, slot)
        except OSError as error:
            logger.error("worker %d cannot be started: %s", place, error.strerror)
            return False
        self._processes[place] = worker
        if self._stopping.is_set():
            self._send(signal.SIGTERM)
        was_ready = await _byte(ready)
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


async def _first(*events: asyncio.Event) -> asyncio.Event:
    """The first of these, in this order, that is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return next(event for event in events if event.is_set())


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
