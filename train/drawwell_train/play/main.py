"""`drawwell play`: a page to play with a GAN, on this machine."""

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from drawwell import terminal
from drawwell_train.play.app import create_app
from drawwell_train.play.source import DIGITS, readable
from drawwell_train.play.training import Training
from drawwell_train.watch.server import create_server, listen, url_of

PORT = 3002
"""`drawwell serve` has 3000, `drawwell watch` 3001."""
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class PlayConfig:
    """Play with a GAN in a browser: points in the plane, what the discriminator thinks of every place, the best discriminator and the
    divergence, lessons about what goes wrong in training, and images. Only this machine reaches the page. From another machine, open a
    tunnel with `ssh -L 3002:127.0.0.1:3002 HOST`, and open http://127.0.0.1:3002."""

    data: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[DATA]", help_behavior_hint="")] = None
    """Images to learn, of all kinds that `drawwell train` reads. They are fitted to 28 or 32 px. The page then begins with them. Default:
    the page begins with points, and its images are `digits`, 5,000 handwritten digits from the extra `digits`."""
    port: int = PORT
    """The TCP port to listen on; 0 for any that is free."""


def main(config: PlayConfig) -> None:
    """Run `drawwell play` until SIGINT or SIGTERM. Raises ``DrawwellError`` for data that cannot be used, or a port that cannot be had."""
    with (
        listen(_HOST, config.port) as listener,
        readable(config.data) as source,
        contextlib.closing(Training(source, "ring" if config.data is None else "images")) as training,
    ):
        name = DIGITS if config.data is None else Path(config.data).name
        server = create_server(partial(create_app, training, name), listener, _HOST)
        terminal.console().print(f"playing on {url_of(listener, _HOST)}; Ctrl+C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
