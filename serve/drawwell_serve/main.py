"""`drawwell serve`: settings into the environment, and over to BentoML."""

import copy
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from drawwell.errors import DrawwellError
from drawwell.install import install_command
from drawwell_serve.processes import listening
from drawwell_serve.settings import Settings

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


def main(config: ServeConfig) -> None:
    """Become the server. Raises ``DrawwellError`` where it cannot start."""
    if sys.platform == "win32":
        raise DrawwellError("serving needs Linux or macOS; on Windows use WSL")
    if importlib.util.find_spec("bentoml") is None:
        raise DrawwellError(f"serving needs the package bentoml: {install_command('serve', 'cpu')}")
    home = _make_home()
    listening.listen(listening.resolve(config.host, config.port), config.port).close()  # before it takes time to start
    environment = (
        os.environ | config.variables() | {"BENTOML_HOME": str(home), "DRAWWELL_GENERATOR": str(config.file.absolute())}
    )
    if config.key_file is not None:
        environment["DRAWWELL_KEY_FILE"] = str(Path(config.key_file).absolute())  # a link is followed at every SIGHUP
    if config_file := os.environ.get("BENTOML_CONFIG"):
        environment["BENTOML_CONFIG"] = str(Path(config_file).absolute())
    environment.setdefault("BENTOML_DO_NOT_TRACK", "True")
    listen = ["--host", config.host, "--port", str(config.port)]
    # BentoML puts the working directory on the path; the user's may hold a train.py or a serve.py, this one only packages.
    os.chdir(Path(__file__).parents[1])
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", "serve", SERVICE, *listen], environment)


def _make_home() -> Path:
    """BentoML keeps its bentos there, and makes the folders even where there are none."""
    home = Path(os.path.expandvars(os.environ.get("BENTOML_HOME") or "~/bentoml")).expanduser().absolute()
    try:
        for folder in ("bentos", "models", "envs", "tmp"):
            (home / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrawwellError(
            f"BentoML's folder {home} cannot be made ({error.strerror}): set BENTOML_HOME to one that can be written to"
        ) from error
    return home
