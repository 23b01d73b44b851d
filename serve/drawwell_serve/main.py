"""`drawwell serve`: settings into the environment, and over to BentoML."""

import importlib.util
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from drawwell.errors import DrawwellError
from drawwell.opening import find_file
from drawwell.session import Provider

SERVICE = "drawwell_serve.service:Drawwell"

_DRAIN_SECONDS = 30
"""Between the signal to stop and the end of replies that nobody reads."""


@dataclass(frozen=True)
class ServeConfig:
    """Serve a generator over HTTP with BentoML. Its page is at http://HOST:PORT/."""

    generator: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(metavar="GENERATOR", help_behavior_hint="")
    ] = None
    """A generator file, or the name of a bundled generator. By default DRAWWELL_GENERATOR, else fashion."""
    host: str = "127.0.0.1"
    """The address to listen to: this machine only, unless told otherwise. Anybody who reaches it may draw."""
    port: int = 3000
    """The TCP port to listen to."""
    provider: Annotated[Provider | None, tyro.conf.arg(metavar="{auto,cuda,cpu}", help_behavior_hint="")] = None
    """auto draws on CUDA where it can be had; cuda and cpu insist. By default DRAWWELL_PROVIDER, else auto."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Threads that draw. By default DRAWWELL_THREADS, else one a core."""


def main(config: ServeConfig) -> None:
    """Become the server. Raises ``DrawwellError`` where it cannot start."""
    if importlib.util.find_spec("bentoml") is None:
        raise DrawwellError("serving needs BentoML: pip install 'drawwell[serve,cpu]', or 'drawwell[serve,gpu]'")
    host = _check_free(config.host, config.port)
    environment = os.environ | _variables(config)
    environment.setdefault("BENTOML_DO_NOT_TRACK", "True")
    listen = ["--host", host, "--port", str(config.port), "--timeout-graceful-shutdown", str(_DRAIN_SECONDS)]
    # BentoML puts the working directory on the path; the user's may hold a train.py or a serve.py, this one only packages.
    os.chdir(Path(__file__).parents[1])
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", "serve", SERVICE, *listen], environment)


def _variables(config: ServeConfig) -> dict[str, str]:
    given = {
        "DRAWWELL_GENERATOR": str(find_file(config.generator).resolve()) if config.generator is not None else None,
        "DRAWWELL_PROVIDER": config.provider,
        "DRAWWELL_THREADS": str(config.threads) if config.threads is not None else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_free(host: str, port: int) -> str:
    """Return the host as a number, which BentoML insists on; it meets a port that it cannot have with a traceback or a hang."""
    if not 1 <= port <= 65535:
        raise DrawwellError(f"--port must be from 1 to 65535, not {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address, family=family):
            return str(address[0])
    except OSError as error:
        raise DrawwellError(f"cannot listen to {host}:{port}: {error.strerror}") from error
