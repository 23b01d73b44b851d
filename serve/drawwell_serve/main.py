"""`drawwell serve`: settings into the environment, and over to BentoML."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from drawwell.engine import Provider
from drawwell.errors import DrawwellError
from drawwell.opening import find_file

SERVICE = "drawwell_serve.service:Drawwell"


@dataclass(frozen=True)
class ServeConfig:
    """Serve a generator over HTTP with BentoML. Its page is at http://HOST:PORT/."""

    generator: Annotated[str, tyro.conf.Positional] = "fashion"
    """A generator file, or the name of a bundled generator."""
    host: str = "127.0.0.1"
    """The address to listen to: this machine only, unless told otherwise. Anybody who reaches it may draw."""
    port: int = 3000
    """The TCP port to listen to."""
    provider: Provider = "auto"
    """auto draws on CUDA where it can be had; cuda and cpu insist."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Threads that draw. By default one a core."""


def main(config: ServeConfig) -> None:
    """Become the server. Raises ``DrawwellError`` where the generator is not there."""
    if importlib.util.find_spec("bentoml") is None:
        raise DrawwellError("serving needs BentoML: pip install 'drawwell[serve,cpu]', or 'drawwell[serve,gpu]'")
    environment = os.environ | {
        "DRAWWELL_GENERATOR": str(find_file(config.generator).resolve()),
        "DRAWWELL_PROVIDER": config.provider,
    }
    if config.threads is not None:
        environment["DRAWWELL_THREADS"] = str(config.threads)
    environment.setdefault("BENTOML_DO_NOT_TRACK", "True")
    command = [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", config.host, "--port", str(config.port)]
    os.chdir(
        Path(__file__).parent
    )  # BentoML puts the working directory on the path, where a user's train.py or serve.py may lie
    os.execve(sys.executable, command, environment)
