"""The settings of a server: options of `drawwell serve`, and environment variables, which `bentoml serve` reads too."""

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
"""Where `make bento GENERATOR=...` puts a user's own generator, so that the bento contains and serves it."""

_HOST_NAME = re.compile(r"[\w.-]+(:\d+)?|\[?[\da-fA-F:.]+\]?(:\d+)?")
_ORIGIN = re.compile(r"(?i)\*|https?://[^\s/?#@,*]+")

LEAST_KEY_CHARACTERS = 8
"""The shortest key. `openssl rand -hex 32` makes 64 characters."""


def _setting(
    name: str,
    read: Callable[[str, str], Value],
    default: Value,
    sentence: str,
    *,
    unit: str = "",
    default_in_words: str = "",
    others: tuple[str, ...] = (),
) -> Value:
    """A field that is read from the environment. It is the only place where a setting is described.

    Args:
        name: The variable is DRAWWELL_NAME.
        read: Makes a value of the variable's name and text.
        default: The value if no variable is set.
        sentence: The meaning, for the help and the documentation.
        unit: The unit of the value, for the documentation.
        default_in_words: The default, for the documentation, if the value does not say it.
        others: Variables that are read if DRAWWELL_NAME is not set.
    """
    variables = (f"DRAWWELL_{name}", *others)

    def from_environment() -> Value:
        for variable in variables:
            if value := os.environ.get(variable):
                return read(variable, value)
        return default

    about = {
        "variable": variables[0],
        "default": default,
        "sentence": sentence,
        "unit": unit,
        "default_in_words": default_in_words,
    }
    field: Value = dataclasses.field(default_factory=from_environment, metadata=about)
    return field


def _integer(name: str, value: str) -> int:
    if not value.isdecimal():
        raise DrawwellError(f"{name} must be an integer, not {value!r}")
    return int(value)


def _port(name: str, value: str) -> int:
    if value.startswith("tcp://"):
        raise DrawwellError(
            f"{name} is {value!r}, which Kubernetes sets for a service named drawwell: "
            "set enableServiceLinks: false in the pod, or set the port in the container"
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
            f"the key has {len(key)} characters and can be guessed: choose a key of {LEAST_KEY_CHARACTERS} or more"
        )
    return key


def _read_key(file: str) -> str:
    try:
        with open(file, encoding="utf-8", opener=_open_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DrawwellError(
                    f"{file}: is no regular file, and the server reads the key several times: "
                    "write the key to a file, or set DRAWWELL_KEY"
                )
            key = stream.read().strip()
        if not key:
            raise DrawwellError(f"{file}: the key file is empty: openssl rand -hex 32 > {file}")
        return key
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise DrawwellError(f"{file}: cannot be read as a key ({why})") from None


def _open_at_once(file: str, flags: int) -> int:
    """Open a file. If it is a pipe, do not wait for its writer."""
    return os.open(file, flags | os.O_NONBLOCK)


@dataclass(frozen=True)
class Settings:
    """The settings of one server, by default from the environment.

    Raises:
        DrawwellError: A value makes no sense.
    """

    generator: str = _setting(
        "GENERATOR",
        _text,
        str(PACKED_GENERATOR) if PACKED_GENERATOR.is_file() else "fashion",
        "The generator to serve: a file, or the name of a bundled generator.",
        default_in_words="`fashion`; in a bento that was built with `GENERATOR=FILE`, that file",
    )
    discriminator: str | None = _setting(
        "DISCRIMINATOR",
        _text,
        None,
        "The discriminator that judges pictures at `POST /judge`: a file that `drawwell export` wrote with this generator.",
        default_in_words="the one beside the generator: `discriminator.onnx` beside `generator.onnx`",
    )
    key_file: str | None = _setting(
        "KEY_FILE",
        _text,
        None,
        "A file with the key that clients must send as `Authorization: Bearer KEY`. The probes (/livez, /healthz, /readyz) need no "
        "key. DRAWWELL_KEY holds the key itself.",
        default_in_words="no key",
    )
    hosts: str | None = _setting(
        "HOSTS",
        _text,
        None,
        "Host names that the server answers to besides `localhost` and IP addresses, separated by commas. `*` allows any name.",
        default_in_words="any name; on a loopback address without a key, only these, which keeps out web pages that use DNS "
        "rebinding",
    )
    cors_origins: str | None = _setting(
        "CORS_ORIGINS",
        _text,
        None,
        "Origins whose web pages may send requests, separated by commas, for example `https://example.org`. `*` allows all.",
        default_in_words="none",
    )
    insecure_bind: bool = _setting(
        "INSECURE_BIND", _yes, False, "Listen on an address that other machines can reach, even without a key."
    )
    provider: Provider = _setting(  # noqa: RUF009 - it is a field
        "PROVIDER",
        _provider,
        "auto",
        "The device that draws: `cuda`, `cpu`, or `auto` for CUDA if it is available and the CPU otherwise.",
    )
    workers: int = _setting(
        "WORKERS",
        _integer,
        1,
        "Worker processes that draw and serve: one for each GPU. On CPUs one worker is enough.",
        unit="processes",
    )
    threads: int | None = _setting(
        "THREADS",
        _integer,
        None,
        "Threads that draw in each worker.",
        unit="threads",
        default_in_words="the CPU cores (of the container, if it has a limit), divided among the workers",
    )
    max_count: int = _setting(
        "MAX_COUNT",
        _integer,
        1_000_000,
        "The most images in one reply. Long replies are streamed, so this bounds their time, not their memory.",
        unit="images",
    )
    queue_requests: int = _setting(
        "QUEUE_REQUESTS",
        _integer,
        256,
        "Requests for images that a worker answers at the same time. A further one takes the place of the slowest reader, or gets a 429.",
        unit="requests",
    )
    queue_images: int | None = _setting(
        "QUEUE_IMAGES",
        _integer,
        None,
        "Images that may wait in a worker, or be held there by JSON and PNG replies. A stream counts with its next few pieces. "
        "At the limit, a further request gets a 429.",
        unit="images",
        default_in_words="8192, or as many as DRAWWELL_QUEUE_REQUESTS streams hold, if that is more",
    )
    deadline_seconds: float = _setting(
        "DEADLINE_SECONDS",
        _seconds,
        30.0,
        "Seconds a request may wait before its reply starts; then 503.",
        unit="seconds",
    )
    read_seconds: float = _setting(
        "READ_SECONDS",
        _seconds,
        8.0,
        "Seconds for the head of a request to arrive, and again for its body; then 408.",
        unit="seconds",
    )
    stall_seconds: float = _setting(
        "STALL_SECONDS",
        _seconds,
        8.0,
        "Seconds over which a client must read at least 1 KiB a second of a reply that waits for it; otherwise its connection is closed.",
        unit="seconds",
    )
    keep_alive_seconds: float = _setting(
        "KEEP_ALIVE_SECONDS",
        _seconds,
        75.0,
        "Seconds an idle connection stays open. Choose more than the idle timeout of a load balancer in front, often 60.",
        unit="seconds",
    )
    drain_seconds: float = _setting(
        "DRAIN_SECONDS",
        _seconds,
        30.0,
        "Seconds from SIGTERM to the end of the server. Replies that are not finished two seconds before are cut off.",
        unit="seconds",
    )
    log_requests: bool = _setting(
        "LOG_REQUESTS",
        _yes,
        True,
        "Write a log line for each request. 0, or `--no-log-requests`, turns these lines off.",
    )
    log_format: LogFormat = _setting(  # noqa: RUF009 - it is a field
        "LOG_FORMAT", _log_format, "json", "The format of log lines: `json` objects, or `text`."
    )
    host: str = _setting(
        "HOST",
        _text,
        "127.0.0.1",
        "The IP address or host name to listen on. By default only this machine reaches the server; `0.0.0.0` opens it to the "
        "network, and then you must set a key.",
    )
    port: int = _setting(
        "PORT",
        _port,
        3000,
        "The TCP port to listen on. If DRAWWELL_PORT is not set, PORT counts, which hosting platforms set.",
        others=("PORT",),
    )

    def __post_init__(self) -> None:
        if self.provider not in get_args(Provider):
            raise DrawwellError(
                f"--provider (DRAWWELL_PROVIDER) must be one of {', '.join(get_args(Provider))}, not {self.provider!r}"
            )
        if self.log_format not in get_args(LogFormat):
            raise DrawwellError(f"--log-format (DRAWWELL_LOG_FORMAT) must be json or text, not {self.log_format!r}")
        if not self.host:
            raise DrawwellError(
                "the host (--host or DRAWWELL_HOST) is empty: give an IP address or a host name, for example 127.0.0.1"
            )
        if not 1 <= self.port <= 65535:
            raise DrawwellError(f"the port (--port, DRAWWELL_PORT or PORT) must be from 1 to 65535, not {self.port}")
        for option, variable, value in self._numbers():
            if not 0 < value < math.inf:
                bounds = "above 0" if isinstance(value, int) else "above 0 and finite"
                raise DrawwellError(f"{option} ({variable}) must be {bounds}, not {value}")
        for host in (self.hosts or "*").split(","):
            if host.strip() not in ("*", "") and not _HOST_NAME.fullmatch(host.strip()):
                raise DrawwellError(
                    f"--hosts (DRAWWELL_HOSTS): {host.strip()!r} is not a host name: write no scheme, path or wildcard, for example "
                    "images.example.org, or * for any name"
                )
        for origin in (self.cors_origins or "*").split(","):
            if not _ORIGIN.fullmatch(origin.strip()):
                raise DrawwellError(
                    f"--cors-origins (DRAWWELL_CORS_ORIGINS): {origin.strip()!r} is not an origin: write it without a path, "
                    "for example https://example.org"
                )

    def _numbers(self) -> Iterator[tuple[str, str, float]]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield option_of(field.name), field.metadata["variable"], value

    @property
    def file(self) -> Path:
        """The generator file. Raises ``GeneratorFileError`` if there is none."""
        return find_file(self.generator)

    @property
    def threads_of_worker(self) -> int:
        """Threads that draw in one worker."""
        return self.threads or max(1, cores() // self.workers)

    def key(self) -> bytes | None:
        """The key that clients must send; None for no key. Raises ``DrawwellError`` if the key is invalid or cannot be read."""
        key = os.environ.get("DRAWWELL_KEY")
        if self.key_file is not None:
            if key is not None:
                raise DrawwellError(
                    "DRAWWELL_KEY and a key file (--key-file or DRAWWELL_KEY_FILE) are both given: give one of them"
                )
            key = _read_key(self.key_file)
        try:
            return None if key is None else _long_enough(check_key(key)).encode()
        except ValueError as error:
            raise DrawwellError(str(error)) from None

    @property
    def cut_seconds(self) -> float:
        """Seconds from SIGTERM until replies are cut off, so that the workers end within ``kill_seconds``."""
        return self.kill_seconds - min(1.0, self.drain_seconds / 5)

    @property
    def kill_seconds(self) -> float:
        """Seconds from SIGTERM until workers that hang are killed, so that the server ends within ``drain_seconds``."""
        return self.drain_seconds - min(1.0, self.drain_seconds / 5)

    def check_exposure(self, address: str) -> None:
        """Raise ``DrawwellError`` if other machines reach this IP address, there is no key, and ``insecure_bind`` is off."""
        if not (ipaddress.ip_address(address).is_loopback or self.insecure_bind or self.key()):
            raise DrawwellError(
                f"other machines can reach {address}, and there is no key: set a key in DRAWWELL_KEY or a file (--key-file), "
                "or allow access without a key by --insecure-bind (DRAWWELL_INSECURE_BIND=1)"
            )

    def variables(self) -> dict[str, str]:
        """The environment variables that give the same settings."""
        values = {variable: getattr(self, name) for name, variable in self.variables_by_field().items()}
        return {
            name: str(int(value) if isinstance(value, bool) else value)
            for name, value in values.items()
            if value is not None
        }

    @classmethod
    def variables_by_field(cls) -> dict[str, str]:
        """The variable of each setting."""
        return {field.name: field.metadata["variable"] for field in dataclasses.fields(cls)}


def option_of(name: str) -> str:
    """The option of `drawwell serve` for a field of ``Settings``."""
    return f"--{name.replace('_', '-')}"


def unknown_variables(names: Iterable[str]) -> list[str]:
    """A sentence for each of these variables that begins with DRAWWELL_ and is no setting."""
    known = ["DRAWWELL_KEY", "DRAWWELL_RETRY_FOR", *Settings.variables_by_field().values()]
    unknown = sorted(name for name in names if name.startswith("DRAWWELL_") and name not in known)
    return [f"{name} is not a setting and has no effect; did you mean {_nearest(name, known)}?" for name in unknown]


def _nearest(name: str, known: list[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
