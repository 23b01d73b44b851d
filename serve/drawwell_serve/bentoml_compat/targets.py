"""uvicorn's connection with requests that uvicorn reads otherwise: upgrades, CONNECT, and a host in the request line."""

import re
import sys

import httptools

from drawwell_serve.bentoml_compat.pipelining import PipeliningProtocol

_ABSOLUTE_URL = re.compile(rb"(?i)https?://([^/?#]*)")


class TargetProtocol(PipeliningProtocol):
    """Answers requests for an upgrade as if they asked for none, and takes the host from an absolute target."""

    _piece = memoryview(b"")
    """The bytes that the parser got last."""

    def parse(self, piece: memoryview) -> None:
        self._piece = piece
        super().parse(piece)

    def on_headers_complete(self) -> None:
        if absolute := _ABSOLUTE_URL.match(self.url):  # its host replaces the header's (RFC 9112, section 3.2.2)
            self.headers[:] = [(name, absolute[1] if name == b"host" else value) for name, value in self.headers]
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Answer as if the client had not asked for an upgrade (RFC 9110, section 7.8). Some clients ask with every request.

        httptools has left the body to the other protocol, so the request is parsed again without its ``Upgrade`` field.
        """
        error = sys.exception()
        assert isinstance(error, httptools.HttpParserUpgrade), "uvicorn calls this where it caught it"
        start = b" ".join((self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()))
        lines = [start, *(b": ".join(header) for header in self.scope["headers"] if header[0] != b"upgrade")]
        # after "Connection: close" the old parser reads nothing more
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parse_again(b"\r\n".join((*lines, b"", self._piece[error.args[0] :])))

    def _should_upgrade(self) -> bool:
        return self.parser.get_method() != b"CONNECT"  # CONNECT has no body, and the application refuses it

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: the application refuses CONNECT."""
