"""`drawwell watch`: a page about runs, on this machine."""

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from drawwell import terminal
from drawwell_train.watch.app import create_app
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.server import create_server, listen, url_of

PORT = 3001
"""`drawwell serve` has 3000."""


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
    listener = listen(config.host, config.port)
    server = create_server(partial(create_app, runs), listener, config.host)
    terminal.console().print(f"watching {config.runs} on {url_of(listener, config.host)}; Ctrl+C ends it")
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run([listener])
