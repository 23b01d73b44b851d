"""What a server can be told: by options of `drawwell serve`, or by environment variables, which `bentoml serve` reads too."""

import dataclasses
import difflib
import ipaddress
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from drawwell.engine.cores import cores
from drawwell.engine.onnx_session import Provider
from drawwell.errors import DrawwellError
from drawwell.http.protocol import check_key
from drawwell.opening import find_file

Value = TypeVar("Value")
LogFormat = Literal["json", "text"]

PACKED_GENERATOR = Path(__file__).with_name("generator.onnx")
"""Where `make bento GENERATOR=...` puts a user's own generator, so that the bento carries and serves it."""

_ORIGIN = re.compile(r"(?i)\*|https?://[^\s/?#@,*]+")

LEAST_KEY_CHARACTERS = 8
"""Of a key; `openssl rand -hex 32` makes 64."""


def _setting(name: str, read: Callable[[str, str], Value], default: Value, *others: str) -> Value:
    """A field whose default is the variable DRAWWELL_NAME where it is set, else the first of ``others`` that is."""

    def from_environment() -> Value:
        for variable in (f"DRAWWELL_{name}", *others):
            if value := os.environ.get(variable):
                return read(variable, value)
        return default

    field: Value = dataclasses.field(default_factory=from_environment, metadata={"variable": f"DRAWWELL_{name}"})
    return field


def _integer(name: str, value: str) -> int:
    if not value.isdecimal():
        raise DrawwellError(f"{name} must be an integer, not {value!r}")
    return int(value)


def _port(name: str, value: str) -> int:
    if value.startswith("tcp://"):
        raise DrawwellError(
            f"{name} is {value!r}, which Kubernetes sets for a service of this name: "
            "set enableServiceLinks: false in the pod, or another port in the container"
        )
    return _integer(name, value)


def _seconds(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise DrawwellError(f"{name} must be a number of seconds, not {value!r}") from None


def _yes(name: str, value: str) -> bool:
    if value not in ("0", "1"):
        raise DrawwellError(f"{name} must be 0 or 1, not {value!r}")
    return value == "1"


def _text(_: str, value: str) -> str:
    return value


def _provider(_: str, value: str) -> Provider:
    return cast(Provider, value)


def _log_format(_: str, value: str) -> LogFormat:
    return cast(LogFormat, value)


def _long_enough(key: str) -> str:
    if len(key) < LEAST_KEY_CHARACTERS:
        raise DrawwellError(
            f"the key has {len(key)} characters and can be guessed: give {LEAST_KEY_CHARACTERS} or more"
        )
    return key


def _read_key(file: str) -> str:
    try:
        with open(file, encoding="utf-8", opener=_open_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DrawwellError(
                    f"{file}: is no regular file, and the server reads the key several times: "
                    "write the key to a file, or give it in DRAWWELL_KEY"
                )
            return stream.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DrawwellError(f"{file}: cannot be read as a key ({error})") from None


def _open_at_once(file: str, flags: int) -> int:
    """Open a pipe without waiting for its writer."""
    return os.open(file, flags | os.O_NONBLOCK)


@dataclass(frozen=True)
class Settings:
    """The settings of one server, by default from the environment. Raises ``DrawwellError`` for what makes no sense."""

    generator: str = _setting("GENERATOR", _text, str(PACKED_GENERATOR) if PACKED_GENERATOR.is_file() else "fashion")
    """A generator file, or the name of a bundled generator. DRAWWELL_GENERATOR"""
    key_file: str | None = _setting("KEY_FILE", _text, None)
    """A file with the key that clients must send as `Authorization: Bearer KEY`; everything but the probes then needs it.
    DRAWWELL_KEY_FILE; or DRAWWELL_KEY, the key itself."""
    hosts: str | None = _setting("HOSTS", _text, None)
    """Host names that the server answers to, separated by commas; * allows any. Default: any name; on a loopback address without
    a key only localhost and IP addresses, which keeps out web pages that use DNS rebinding. DRAWWELL_HOSTS"""
    cors_origins: str | None = _setting("CORS_ORIGINS", _text, None)
    """Origins whose web pages may send requests, such as https://example.org, separated by commas; * allows all. Default: none.
    DRAWWELL_CORS_ORIGINS"""
    insecure_bind: bool = _setting("INSECURE_BIND", _yes, False)
    """Listen to other machines even without a key. DRAWWELL_INSECURE_BIND=1"""
    provider: Provider = _setting("PROVIDER", _provider, "auto")  # noqa: RUF009 - it is a field
    """auto draws on CUDA where it can be had; cuda and cpu insist. DRAWWELL_PROVIDER"""
    workers: int = _setting("WORKERS", _integer, 1)
    """Processes that draw and serve: one for each GPU. On CPUs one is enough. DRAWWELL_WORKERS"""
    threads: int | None = _setting("THREADS", _integer, None)
    """Threads that draw, in each worker; by default the cores are shared out to the workers. DRAWWELL_THREADS"""
    max_count: int = _setting("MAX_COUNT", _integer, 1_000_000)
    """The most images in one reply. It is streamed, so that this bounds its time and not its memory. DRAWWELL_MAX_COUNT"""
    queue_requests: int = _setting("QUEUE_REQUESTS", _integer, 256)
    """Requests for images that a worker answers at once; one more is a 429. DRAWWELL_QUEUE_REQUESTS"""
    queue_images: int | None = _setting("QUEUE_IMAGES", _integer, None)
    """Images that wait to be drawn, of a stream its next few pieces, or that JSON and PNG replies hold; beyond, a request is a 429.
    By default 8,192, or more where all the requests would hold more as streams. DRAWWELL_QUEUE_IMAGES"""
    deadline_seconds: float = _setting("DEADLINE_SECONDS", _seconds, 30.0)
    """Seconds that a request may wait before its reply starts; then it is a 503. DRAWWELL_DEADLINE_SECONDS"""
    read_seconds: float = _setting("READ_SECONDS", _seconds, 8.0)
    """Seconds for the head of a request to arrive, and again for its body; then it is a 408. DRAWWELL_READ_SECONDS"""
    stall_seconds: float = _setting("STALL_SECONDS", _seconds, 8.0)
    """Seconds that a client may stop reading before the connection is closed. DRAWWELL_STALL_SECONDS"""
    keep_alive_seconds: float = _setting("KEEP_ALIVE_SECONDS", _seconds, 75.0)
    """Seconds that an idle connection stays open. Choose more than the idle timeout of a load balancer in front, often 60.
    DRAWWELL_KEEP_ALIVE_SECONDS"""
    drain_seconds: float = _setting("DRAIN_SECONDS", _seconds, 30.0)
    """Seconds from SIGTERM to the end of the server. Replies still under way are cut off two seconds before. DRAWWELL_DRAIN_SECONDS"""
    log_requests: bool = _setting("LOG_REQUESTS", _yes, True)
    """Write no line for each request. DRAWWELL_LOG_REQUESTS=0"""
    log_format: LogFormat = _setting("LOG_FORMAT", _log_format, "json")  # noqa: RUF009 - it is a field
    """Write each line of the log as a JSON object, or as text. DRAWWELL_LOG_FORMAT"""
    host: str = _setting("HOST", _text, "127.0.0.1")
    """The address or the name to listen to: this machine only, unless told otherwise. DRAWWELL_HOST"""
    port: int = _setting("PORT", _port, 3000, "PORT")
    """The TCP port to listen to. DRAWWELL_PORT, or PORT as hosting platforms set it."""

    def __post_init__(self) -> None:
        if self.provider not in get_args(Provider):
            raise DrawwellError(
                f"DRAWWELL_PROVIDER must be one of {', '.join(get_args(Provider))}, not {self.provider!r}"
            )
        if self.log_format not in get_args(LogFormat):
            raise DrawwellError(f"DRAWWELL_LOG_FORMAT must be json or text, not {self.log_format!r}")
        if not self.host:
            raise DrawwellError(
                "the host (--host or DRAWWELL_HOST) is empty: give an address or a name, such as 127.0.0.1"
            )
        if not 1 <= self.port <= 65535:
            raise DrawwellError(f"the port (--port, DRAWWELL_PORT or PORT) must be from 1 to 65535, not {self.port}")
        for name, variable, value in self._numbers():
            if not 0 < value < math.inf:
                raise DrawwellError(f"{name} ({variable}) must be above 0, not {value}")

        for host in (self.hosts or "*").split(","):
            if "*" in host and host.strip() != "*":
                raise DrawwellError(
                    f"DRAWWELL_HOSTS: {host.strip()!r} stands for several names: list each, or * for any"
                )
        for origin in (self.cors_origins or "*").split(","):
            if not _ORIGIN.fullmatch(origin.strip()):
                raise DrawwellError(
                    f"DRAWWELL_CORS_ORIGINS: {origin.strip()!r} is no origin; one is written https://example.org, without a path"
                )

    def _numbers(self) -> Iterator[tuple[str, str, float]]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield field.name.replace("_", " "), field.metadata["variable"], value

    @property
    def file(self) -> Path:
        """The generator file. Raises ``GeneratorFileError`` where there is none."""
        return find_file(self.generator)

    @property
    def threads_of_worker(self) -> int:
        """Threads that draw in one worker."""
        return self.threads or max(1, cores() // self.workers)

    def key(self) -> bytes | None:
        """The key that clients must send. Raises ``DrawwellError`` where there should be one and is none."""
        key = os.environ.get("DRAWWELL_KEY")
        if self.key_file is not None:
            if key is not None:
                raise DrawwellError("DRAWWELL_KEY and a key file are both given: take one")
            key = _read_key(self.key_file)
        try:
            return None if key is None else _long_enough(check_key(key)).encode()
        except ValueError as error:
            raise DrawwellError(str(error)) from None

    @property
    def cut_seconds(self) -> float:
        """After SIGTERM, until replies under way are cut off: soon enough for the workers to end within ``kill_seconds``."""
        return self.kill_seconds - min(1.0, self.drain_seconds / 5)

    @property
    def kill_seconds(self) -> float:
        """After SIGTERM, until workers that hang are killed: soon enough for the server to end within ``drain_seconds``."""
        return self.drain_seconds - min(1.0, self.drain_seconds / 5)

    def check_exposure(self, address: str) -> None:
        """Raise ``DrawwellError`` where other machines would be served without a key at this IP address, unless that was asked for."""
        if not (ipaddress.ip_address(address).is_loopback or self.insecure_bind or self.key()):
            raise DrawwellError(
                f"{address} lets other machines in, and there is no key: give one in DRAWWELL_KEY or a file (--key-file), "
                "or allow it with --insecure-bind (DRAWWELL_INSECURE_BIND=1)"
            )

    def variables(self) -> dict[str, str]:
        """The environment in which the same settings are read again."""
        values = {variable: getattr(self, name) for name, variable in self.variables_by_field().items()}
        return {
            name: str(int(value) if isinstance(value, bool) else value)
            for name, value in values.items()
            if value is not None
        }

    @classmethod
    def variables_by_field(cls) -> dict[str, str]:
        """The name of each setting's variable."""
        return {field.name: field.metadata["variable"] for field in dataclasses.fields(cls)}


def unknown_variables(names: Iterable[str]) -> list[str]:
    """A sentence for each of these variables that looks like a setting and is none."""
    known = ["DRAWWELL_KEY", *Settings.variables_by_field().values()]
    unknown = sorted(name for name in names if name.startswith("DRAWWELL_") and name not in known)
    return [
        f"{name} is no setting, and nothing is changed by it; the nearest is {_nearest(name, known)}"
        for name in unknown
    ]


def _nearest(name: str, known: list[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
