"""The supervisor: it listens, starts the workers, starts another in the place of a dead one, and ends them.

It stands in for BentoML 1.4.39's, which is Circus. Circus takes commands from every user of the machine on two loopback ports,
waits a day for a worker that hangs, starts one that cannot start without a pause, and forgets signals while it is busy.
This one takes no commands but signals: SIGTERM and SIGINT end the server, SIGHUP reads generator and key again.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import _bentoml_impl.server
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.serving import construct_ssl_args, construct_timeouts_args

from drawwell.errors import DrawwellError
from drawwell_serve import log
from drawwell_serve.processes import listening
from drawwell_serve.processes.crew import Command, Crew, Site
from drawwell_serve.processes.handover import Handover, take
from drawwell_serve.processes.shared_metrics import SharedMetrics
from drawwell_serve.settings import Settings, unknown_variables

logger = logging.getLogger("drawwell.serve")

Value = TypeVar("Value")


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
) -> NoReturn:
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
        listen: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        _serve(replace(Settings(), **listen), command, backlog or listening.BACKLOG)
    except DrawwellError as error:
        sys.exit(f"drawwell: {error}")


_SSL = ("certfile", "keyfile", "keyfile_password", "version", "cert_reqs", "ca_certs", "ciphers")


def _ssl(options: dict[str, Any]) -> dict[str, Any]:
    """BentoML's options for TLS, else what its configuration says."""
    return {f"ssl_{name}": options.get(f"ssl_{name}") or BentoMLContainer.ssl[name].get() for name in _SSL}


def _serve(settings: Settings, command: Command, backlog: int) -> NoReturn:
    written = log.install(settings.log_format)
    for number in (signal.SIGTERM, signal.SIGINT):  # as process 1 of a container it would ignore SIGTERM by default
        signal.signal(number, lambda *_: _exit(written, 0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the files are read now
    for sentence in unknown_variables(os.environ):
        logger.warning("%s", sentence)
    if BentoMLContainer.http.cors.enabled.get():
        logger.warning("BentoML's CORS settings have no effect here: name the origins in DRAWWELL_CORS_ORIGINS")
    address = listening.resolve(settings.host, settings.port)
    settings.check_exposure(address)
    handover = take(settings)
    metrics = SharedMetrics(2 * settings.workers)
    _take_all_descriptors()
    with listening.listen(address, settings.port, backlog) as listener:
        scheme, host = "https" if command.has_tls else "http", f"[{address}]" if ":" in address else address
        logger.info("serving %s, at %s://%s:%d", handover.in_words(), scheme, host, settings.port)
        _exit(written, asyncio.run(Supervisor(Site(settings, command, listener, metrics)).run(handover)))


def _exit(written: log.Log, code: int) -> NoReturn:
    """End this process once its log is written. Python would take most of a second to tidy up, and crash threads that still draw."""
    written.close()
    os._exit(code)


def _take_all_descriptors() -> None:
    """Connections are descriptors, and the usual limit is lower than the machine's."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Supervisor:
    """Keeps a crew of workers for what was handed over, and on SIGHUP lets another take its place."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._stopped, self._hung_up = asyncio.Event(), asyncio.Event()
        self._leaving = dict[Crew, asyncio.Task[None]]()

    async def run(self, handover: Handover) -> int:
        """Serve until SIGTERM or SIGINT, and return the exit code: 1 where the workers cannot start."""
        loop = asyncio.get_running_loop()
        self._crew = Crew(self._site, handover)
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
        logger.info("SIGHUP: reading the generator and the key again")
        try:
            handover = await _on_a_daemon(lambda: take(self._site.settings))
        except DrawwellError as error:
            logger.error("SIGHUP: nothing is changed: %s", error)
            return
        except Exception:  # no reason to end a server that serves
            logger.exception("SIGHUP: nothing is changed")
            return
        crew = Crew(self._site, handover, side=1 - self._crew.side)
        try:
            if await _first(crew.complete, crew.hopeless) is crew.complete:
                logger.info("SIGHUP: serving %s from now on", handover.in_words())
                self._crew, crew = crew, self._crew
            else:
                logger.error("SIGHUP: nothing is changed: the new workers did not get ready")
        finally:
            self._leave(crew)

    def _leave(self, crew: Crew) -> None:
        """Have a crew stop, while others go on."""
        self._leaving[crew] = asyncio.create_task(crew.stop())
        self._leaving[crew].add_done_callback(lambda _: self._leaving.pop(crew))


async def _on_a_daemon(work: Callable[[], Value]) -> Value:
    """Do ``work`` on a thread that the end of the process does not wait for: a file may take for ever to read."""
    outcome = concurrent.futures.Future[Value]()
    outcome.set_running_or_notify_cancel()  # it cannot be cancelled from here on

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="take", daemon=True).start()
    return await asyncio.wrap_future(outcome)


async def _first(*events: asyncio.Event) -> asyncio.Event:
    """The first of these, in this order, that is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return next(event for event in events if event.is_set())
