"""`drawwell serve`: writes the settings into the environment and becomes `bentoml serve`."""

import copy
import dataclasses
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from drawwell.errors import DrawwellError
from drawwell.install import install_command
from drawwell_serve.processes import listener
from drawwell_serve.settings import Settings

SERVICE = "drawwell_serve.service:Drawwell"


def _same(name: str) -> Any:
    """A setting again, to annotate it for tyro, which serving does not load."""
    return copy.copy(Settings.__dataclass_fields__[name])


def _optional(name: str, metavar: str) -> Any:
    """An option without a value by default, whose help says in words what that means."""
    default = Settings.__dataclass_fields__[name].metadata["default_in_words"]
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class ServeConfig(Settings):
    # tyro reads the docstring, which is made below

    generator: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[GENERATOR]")] = _same("generator")
    discriminator: Annotated[str | None, _optional("discriminator", "FILE")] = _same("discriminator")
    key_file: Annotated[str | None, _optional("key_file", "FILE")] = _same("key_file")
    hosts: Annotated[str | None, _optional("hosts", "NAMES")] = _same("hosts")
    cors_origins: Annotated[str | None, _optional("cors_origins", "ORIGINS")] = _same("cors_origins")
    threads: Annotated[int | None, _optional("threads", "INT")] = _same("threads")
    queue_images: Annotated[int | None, _optional("queue_images", "INT")] = _same("queue_images")


def _docstring() -> str:
    """The help of the command and of its options, in the form that tyro reads."""
    options = "\n".join(
        f"    {field.name}: {field.metadata['sentence']} [{field.metadata['variable']}]"
        for field in dataclasses.fields(Settings)
    )
    return f"""Serve a generator over HTTP with BentoML. Its page is at http://HOST:PORT/.

Each option can also be set by the environment variable in brackets, which `bentoml serve` reads too.

Args:
{options}
"""


ServeConfig.__doc__ = _docstring()


def main(config: ServeConfig) -> None:
    """Become the server. Raises ``DrawwellError`` if it cannot start."""
    if importlib.util.find_spec("bentoml") is None:
        raise DrawwellError(f"serving needs the package bentoml: {install_command('serve', 'cpu')}")
    home = _make_home()
    # a port that cannot be used is reported before the slow start
    listener.listen(listener.resolve(config.host, config.port), config.port).close()
    environment = (
        os.environ | config.variables() | {"BENTOML_HOME": str(home), "DRAWWELL_GENERATOR": str(config.file.absolute())}
    )
    if config.discriminator is not None:
        environment["DRAWWELL_DISCRIMINATOR"] = str(Path(config.discriminator).expanduser().absolute())
    if config.key_file is not None:
        # absolute, but not resolved: SIGHUP follows links again
        environment["DRAWWELL_KEY_FILE"] = str(Path(config.key_file).absolute())
    if config_file := os.environ.get("BENTOML_CONFIG"):
        environment["BENTOML_CONFIG"] = str(Path(config_file).absolute())
    environment.setdefault("BENTOML_DO_NOT_TRACK", "True")
    listen = ["--host", config.host, "--port", str(config.port)]
    # BentoML puts the working directory on the path. The user's may hold a train.py or a serve.py; this one holds packages only.
    os.chdir(Path(__file__).parents[1])
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", "serve", SERVICE, *listen], environment)


def _make_home() -> Path:
    """Make the folders in which BentoML keeps its bentos: BentoML fails with a traceback if it cannot."""
    home = Path(os.path.expandvars(os.environ.get("BENTOML_HOME") or "~/bentoml")).expanduser().absolute()
    try:
        for folder in ("bentos", "models", "envs", "tmp"):
            (home / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrawwellError(
            f"BentoML's folder {home} cannot be made ({error.strerror}): set BENTOML_HOME to a folder that can be written to"
        ) from error
    return home
