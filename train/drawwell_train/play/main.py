"""`drawwell play`: a page to play with a GAN, on this machine."""

import contextlib
from dataclasses import dataclass
from functools import partial

from drawwell import terminal
from drawwell_train.play.app import create_app
from drawwell_train.play.training import Training
from drawwell_train.watch.server import create_server, listen, url_of

PORT = 3002
"""`drawwell serve` has 3000, `drawwell watch` 3001."""
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class PlayConfig:
    """Play with a GAN in a browser: points in the plane, what the discriminator thinks of every place, the best discriminator and the
    divergence, and lessons about what goes wrong in training. Only this machine reaches the page. From another machine, open a tunnel
    with `ssh -L 3002:127.0.0.1:3002 HOST`, and open http://127.0.0.1:3002."""

    port: int = PORT
    """The TCP port to listen on; 0 for any that is free."""


def main(config: PlayConfig) -> None:
    """Run `drawwell play` until SIGINT or SIGTERM. Raises ``DrawwellError`` for a port that cannot be had."""
    with listen(_HOST, config.port) as listener, contextlib.closing(Training()) as training:
        server = create_server(partial(create_app, training), listener, _HOST)
        terminal.console().print(f"playing on {url_of(listener, _HOST)}; Ctrl+C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])
