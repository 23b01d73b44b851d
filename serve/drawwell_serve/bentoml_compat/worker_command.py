"""The command line of a BentoML worker process: the supervisor writes it, and the worker reads it."""

import json
import os
import socket
import sys
from dataclasses import dataclass

import click
from bentoml._internal.configuration.containers import BentoMLContainer


@dataclass(frozen=True)
class WorkerCommand:
    """The command that starts a worker.

    Args:
        bento: The service or the bento, as given to `bentoml serve`.
        folder: The absolute path of the working directory.
        options: Further options, for TLS and timeouts.
    """

    bento: str
    folder: str
    options: tuple[str, ...]

    def line(self, number: int, listener: int) -> list[str]:
        """The command line of worker ``number`` 1, 2, ..., which accepts connections from the descriptor ``listener``."""
        python = [sys.executable, "-m", "_bentoml_impl.worker.service", self.bento, "--service-name", "drawwell"]
        arguments = json.dumps(BentoMLContainer.bento_arguments.get())
        return [*python, "--fd", str(listener), "--worker-id", str(number), "--args", arguments, *self.options]

    @property
    def has_tls(self) -> bool:
        """Whether the worker speaks HTTPS."""
        return "--ssl-certfile" in self.options


def listening_address() -> str:
    """The IP address that this worker listens on. Its command line holds the descriptor of the socket."""
    with socket.socket(fileno=os.dup(click.get_current_context().params["fd"])) as listener:
        return str(listener.getsockname()[0])
