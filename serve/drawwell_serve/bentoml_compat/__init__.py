"""Everything that overrides, or relies on, private parts of BentoML, uvicorn and prometheus_client.

Nothing else in this project imports their private modules or sets attributes on them. ``OVERRIDES`` names each part, the reason, and
the source that our code was written against. When an upgrade changes one of these sources, a test fails and says what to look at;
then compare the new source with our module, adapt it, and put the new hash here.

This folder imports neither the HTTP routes nor the supervisor: they are handed in as functions.
"""

from typing import NamedTuple


class Override(NamedTuple):
    """A part of another package that this folder replaces, extends or calls."""

    target: str
    """``module:name``; of a whole module ``module:``."""
    sha256: str
    """The first 16 hex digits of the SHA-256 of its source."""
    module: str
    """The module of this folder that depends on it."""
    reason: str


VERSIONS = {"bentoml": "1.4.39", "uvicorn": "0.54.0", "prometheus_client": "0.26.0"}
"""The versions that the hashes are of."""

_CONNECTION = "limits on time and size, half-closed connections, JSON errors, and requests in a drain: uvicorn leaves them to a proxy"
_PIPELINE = "uvicorn parses and buffers without bound while a client sends requests and reads no replies"
_SUPERVISOR = (
    "Circus takes commands from every user of the machine, waits a day for a worker that hangs, and forgets signals"
)
_METRICS = "prometheus_client keeps its values in files, and a full disk would end the process"

OVERRIDES = (
    Override(
        "uvicorn.protocols.http.auto:", "61f5c6cb359369a1", "connection", f"replaced by Connection: {_CONNECTION}"
    ),
    Override(
        "uvicorn.protocols.websockets.auto:",
        "40e9cc2997d71df3",
        "connection",
        "switched off: no route speaks WebSocket",
    ),
    Override(
        "uvicorn.config:Config.load", "92b7159dce105a9c", "connection", "reads the two attributes that are replaced"
    ),
    Override(
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol",
        "18fdf324b11bf160",
        "connection",
        f"subclassed: {_CONNECTION}",
    ),
    Override(
        "uvicorn.protocols.http.httptools_impl:RequestResponseCycle",
        "e67d470d435dcc1c",
        "connection",
        "its state is read and set",
    ),
    Override(
        "uvicorn.protocols.http.flow_control:",
        "d39d16560df512f3",
        "pipelining",
        f"FlowControl is subclassed: {_PIPELINE}",
    ),
    Override(
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.data_received",
        "010a7ae59a5d3b1a",
        "targets",
        "calls handle_websocket_upgrade where httptools found an upgrade",
    ),
    Override(
        "uvicorn.server:Server.shutdown",
        "9b33c50562992b1e",
        "stopping",
        "wrapped: it resets the connections in the kernel's queue",
    ),
    Override(
        "uvicorn.server:Server.startup", "2aa1d70a244bfcf2", "stopping", "its way of making a protocol is repeated"
    ),
    Override(
        "bentoml_cli.serve:build_serve_command",
        "0560417c3686cc16",
        "serve_command",
        "calls the attribute that is replaced",
    ),
    Override(
        "_bentoml_impl.server.serving:serve_http",
        "e1ed162e4569a0c1",
        "serve_command",
        f"replaced by our supervisor: {_SUPERVISOR}",
    ),
    Override(
        "_bentoml_impl.worker.service:",
        "6ff4464497fdcce5",
        "worker_command",
        "its command line is written, and its fd read",
    ),
    Override(
        "bentoml.serving:construct_ssl_args",
        "33d7444b9ad6cd0b",
        "serve_command",
        "makes options of the worker's command line",
    ),
    Override(
        "bentoml.serving:construct_timeouts_args",
        "43fa87a1e8213fd3",
        "serve_command",
        "makes options of the worker's command line",
    ),
    Override(
        "bentoml._internal.configuration.containers:_BentoMLContainerClass",
        "dcc355f1335bb1c8",
        "serve_command",
        "TLS, CORS and bento arguments of BentoML's configuration are read",
    ),
    Override(
        "bentoml._internal.utils.analytics.usage_stats:do_not_track",
        "8a7b9c9a1fb7865f",
        "serve_command",
        "its cache is cleared: a server reports nothing to BentoML's makers unless it is told to",
    ),
    Override(
        "_bentoml_sdk.service.factory:Service.to_asgi",
        "bc4a615ea6253837",
        "service_class",
        "overridden: BentoML's own middleware would cost more than the rest of a request",
    ),
    Override(
        "bentoml._internal.log:",
        "4f113d0f593163d4",
        "log_handlers",
        "its handlers are replaced by ours",
    ),
    Override(
        "prometheus_client.mmap_dict:", "fade3d932c191c51", "prometheus_memory", f"MmapedDict is subclassed: {_METRICS}"
    ),
    Override(
        "prometheus_client.values:MultiProcessValue",
        "8077cd2c482fc32e",
        "prometheus_memory",
        f"uses our dict: {_METRICS}",
    ),
    Override(
        "prometheus_client.multiprocess:MultiProcessCollector",
        "0f2c852777f6f9ac",
        "prometheus_memory",
        "adds up our values",
    ),
)
