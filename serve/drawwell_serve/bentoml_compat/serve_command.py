"""`bentoml serve`: it starts our supervisor in place of BentoML's, and reports no use to BentoML's makers.

BentoML's supervisor is Circus. Circus takes commands from every user of the machine on two loopback ports, waits a day for a
worker that hangs, restarts a worker that cannot start without a pause, and forgets signals while it is busy.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

import _bentoml_impl.server
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.utils.analytics import usage_stats
from bentoml.serving import construct_ssl_args, construct_timeouts_args

from drawwell.errors import DrawwellError
from drawwell_serve.bentoml_compat.worker_command import WorkerCommand

_TLS_OPTIONS = ("certfile", "keyfile", "keyfile_password", "version", "cert_reqs", "ca_certs", "ciphers")


class Serve(Protocol):
    """Starts a supervisor.

    ``given`` holds ``host`` and ``port`` if they were options of `bentoml serve`; ``backlog`` is None for the default.
    """

    def __call__(self, given: Mapping[str, Any], command: WorkerCommand, backlog: int | None) -> NoReturn: ...


def install(serve: Serve) -> None:
    """Make `bentoml serve` call ``serve``, and send no usage report unless BENTOML_DO_NOT_TRACK allows it."""
    _bentoml_impl.server.serve_http = _serve_http_by(serve)
    os.environ["BENTOML_DO_NOT_TRACK"] = os.environ.get("BENTOML_DO_NOT_TRACK") or "True"
    # BentoML has read the variable before, and cached the answer
    usage_stats.do_not_track.cache_clear()


def has_cors_settings() -> bool:
    """Whether BentoML's configuration turns its own CORS middleware on."""
    return bool(BentoMLContainer.http.cors.enabled.get())


def _serve_http_by(serve: Serve) -> Any:
    def serve_http(
        bento_identifier: object,
        working_dir: str | None = None,
        host: str | None = None,
        port: int | None = None,
        backlog: int | None = None,
        timeout: int | None = None,
        timeout_keep_alive: int | None = None,
        timeout_graceful_shutdown: int | None = None,
        development_mode: bool = False,
        reload: bool = False,
        threaded: bool = False,
        **options: Any,
    ) -> NoReturn:
        """Serve until a signal ends the server. Exits with 1 and a sentence if it cannot start."""
        try:
            if reload:
                raise DrawwellError("--reload is not supported: send SIGHUP to read the generator again")
            if threaded or not isinstance(bento_identifier, str):
                raise DrawwellError(
                    "a server needs a process of its own: start it with `drawwell serve` or `bentoml serve`"
                )
            worker_options = (
                *construct_ssl_args(**_tls(options)),
                *construct_timeouts_args(timeout_keep_alive, timeout_graceful_shutdown),
                *(("--timeout", str(timeout)) if timeout else ()),
                *(("--development-mode",) if development_mode else ()),
            )
            command = WorkerCommand(bento_identifier, str(Path(working_dir or ".").absolute()), worker_options)
            given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
            serve(given, command, backlog)
        except DrawwellError as error:
            sys.exit(f"drawwell: {error}")

    return serve_http


def _tls(options: Mapping[str, Any]) -> dict[str, Any]:
    """The TLS options of `bentoml serve`; for those that were not given, BentoML's configuration."""
    return {f"ssl_{name}": options.get(f"ssl_{name}") or BentoMLContainer.ssl[name].get() for name in _TLS_OPTIONS}
