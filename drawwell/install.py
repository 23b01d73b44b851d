"""The command that installs a missing package, as it works on this machine."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from drawwell.errors import DrawwellError
from drawwell.text import printable

PIP = f"{shlex.quote(sys.executable)} -m pip"
"""Of the environment that runs, which need not be the active one."""


def install_command(*extras: str) -> str:
    """Return the pip command that adds extras to this installation: of a folder, a wheel, a repository or an index.

    Example:
        >>> drawwell.install.install_command("cpu")  # doctest: +SKIP
        "/home/me/drawwell/.venv/bin/python -m pip install -e '/home/me/drawwell[cpu]'"
    """
    return f"{PIP} install {_requirement(','.join(extras))}"


def exchange_command(before: str, *extras: str) -> str:
    """Return the commands that install extras in place of the package ``before``, which they exclude."""
    return f"{PIP} uninstall -y {before} && {install_command(*extras)}"


@contextmanager
def needed_for(purpose: str, *extras: str, kind: type[DrawwellError] = DrawwellError) -> Iterator[None]:
    """Import packages of ``extras`` inside. Raises ``kind``, with the command that installs a package that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package.startswith("drawwell"):
            raise  # a mistake of ours, which no installation mends
        raise kind(f"{purpose} needs the package {package}: {install_command(*extras)}") from error
    except ImportError as error:
        raise kind(f"{purpose} needs the package {error.name}, which cannot be loaded ({printable(error)})") from error


def _requirement(extras: str) -> str:
    origin = _origin()
    url = str(origin.get("url", ""))
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return shlex.quote(f"drawwell[{extras}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}")
    if url.startswith("file:"):
        editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
        return f"{editable}{shlex.quote(f'{unquote(urlparse(url).path)}[{extras}]')}"
    return shlex.quote(f"drawwell[{extras}]" + (f" @ {url}" if url else ""))


def _origin() -> dict[str, Any]:
    """The direct URL that drawwell was installed from (PEP 610), or the clone that it runs in; empty for an index."""
    try:
        text = metadata.distribution("drawwell").read_text("direct_url.json")
        return json.loads(text) if text else {}
    except metadata.PackageNotFoundError:  # not installed, as on PYTHONPATH
        clone = Path(__file__).parents[1]
        return {"url": clone.as_uri(), "dir_info": {"editable": True}} if (clone / "pyproject.toml").is_file() else {}
