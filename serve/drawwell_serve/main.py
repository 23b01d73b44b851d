"""`drawwell serve`: settings into the environment, and over to BentoML."""

import copy
import importlib.util
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from drawwell.errors import DrawwellError

from .settings import Settings

SERVICE = "drawwell_serve.service:Drawwell"


def _same(name: str) -> Any:
    """A setting again, whose type is to say more on the command line; serving does not load tyro."""
    return copy.copy(Settings.__dataclass_fields__[name])


@dataclass(frozen=True)
class ServeConfig(Settings):
    """Serve a generator over HTTP with BentoML. Its page is at http://HOST:PORT/.

    An option may also be given as the environment variable named with it, which `bentoml serve` reads too.
    """

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GENERATOR")] = _same("generator")
    key_file: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = _same("key_file")
    hosts: Annotated[str | None, tyro.conf.arg(metavar="NAMES")] = _same("hosts")
    cors_origins: Annotated[str | None, tyro.conf.arg(metavar="ORIGINS")] = _same("cors_origins")
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT")] = _same("threads")
    queue_images: Annotated[int | None, tyro.conf.arg(metavar="INT")] = _same("queue_images")
    host: str = "127.0.0.1"
    """The address to listen to: this machine only, unless told otherwise."""
    port: int = 3000
    """The TCP port to listen to."""


def main(config: ServeConfig) -> None:
    """Become the server. Raises ``DrawwellError`` where it cannot start."""
    if importlib.util.find_spec("bentoml") is None:
        raise DrawwellError("serving needs BentoML: pip install 'drawwell[serve,cpu]', or 'drawwell[serve,gpu]'")
    host = _check_free(config.host, config.port)
    environment = os.environ | config.variables() | {"DRAWWELL_GENERATOR": str(config.file.resolve())}
    if config.key_file is not None:
        environment["DRAWWELL_KEY_FILE"] = str(Path(config.key_file).resolve())
    environment.setdefault("BENTOML_DO_NOT_TRACK", "True")
    listen = ["--host", host, "--port", str(config.port)]
    # BentoML puts the working directory on the path; the user's may hold a train.py or a serve.py, this one only packages.
    os.chdir(Path(__file__).parents[1])
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", "serve", SERVICE, *listen], environment)


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
