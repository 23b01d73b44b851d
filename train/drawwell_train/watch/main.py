"""`drawwell watch`: a page about runs, on this machine."""

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
import uvicorn

from drawwell import terminal
from drawwell.errors import DrawwellError
from drawwell.text import reason
from drawwell_train.watch.app import create_app
from drawwell_train.watch.found_runs import FoundRuns, identity

PORT = 3001
"""`drawwell serve` has 3000."""
_STOP_SECONDS = 3
"""Requests for events end within one."""


@dataclass(frozen=True)
class WatchConfig:
    """Show runs in a browser while they train: their state, curves, conditions, samples and options, one run or two beside each other.
    It only reads the run folders. For a run on another machine, start it there, open a tunnel on your machine with
    `ssh -L 3001:127.0.0.1:3001 HOST`, and open http://127.0.0.1:3001."""

    runs: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="[RUNS]")] = Path("runs")
    """A run folder that `drawwell train` writes, or a folder that holds some, up to three folders down."""
    host: str = "127.0.0.1"
    """The IP address or host name to listen on. By default only this machine reaches the page, which asks for no key: with another
    address, everyone who reaches the machine sees the runs."""
    port: int = PORT
    """The TCP port to listen on; 0 for any that is free."""


def main(config: WatchConfig) -> None:
    """Run `drawwell watch` until SIGINT or SIGTERM. Raises ``DrawwellError`` for a folder or an address that cannot be used."""
    runs = FoundRuns(config.runs)
    listener = _listener(config.host, config.port)
    terminal.console().print(f"watching {config.runs} on {_url(listener)}; Ctrl+C ends it")
    with listener, contextlib.suppress(KeyboardInterrupt):
        _server(runs, listener).run([listener])


@contextlib.contextmanager
def watching(run: Path) -> Iterator[str]:
    """Show one run while the block runs, in a thread of its own. Yields the URL of its page.

    The port is ``PORT``, or any other if that is taken, for example by the page of another training.

    Raises:
        DrawwellError: no port can be had.
    """
    try:
        listener = _listener("127.0.0.1", PORT)
    except DrawwellError:
        listener = _listener("127.0.0.1", 0)
    with listener:
        server = _server(FoundRuns(run), listener)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"{_url(listener)}/runs/{identity(run, run)}"
        finally:
            server.should_exit = True
            thread.join()


def _server(runs: FoundRuns, listener: socket.socket) -> uvicorn.Server:
    is_loopback = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    app = create_app(runs, is_loopback, lambda: server.should_exit)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    return server


def _listener(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise DrawwellError(f"--port must be from 0 to 65535, not {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise DrawwellError(
            f"cannot listen on {host}, port {port} ({reason(error)}): give another --host or --port"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
