"""What a server can be told, each by one environment variable."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from drawwell.errors import DrawwellError
from drawwell.opening import find_file
from drawwell.session import Provider

PACKED_GENERATOR = Path(__file__).with_name("generator.onnx")
"""Where `make bento GENERATOR=...` puts a user's own generator, so that the bento carries and serves it."""


@dataclass(frozen=True)
class Settings:
    """The settings of one server."""

    generator: Path
    """DRAWWELL_GENERATOR: a generator file, or the name of a bundled one; by default the one packed into the bento, else `fashion`."""
    provider: Provider = "auto"
    """DRAWWELL_PROVIDER: auto, cuda or cpu."""
    threads: int | None = None
    """DRAWWELL_THREADS: threads that draw; by default one a core."""
    max_count: int = 1_000_000
    """DRAWWELL_MAX_COUNT: the most images in one reply. A reply is streamed, so that this bounds its time and not its memory."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings. Raises ``DrawwellError`` for a variable that makes no sense."""
        provider = environment.get("DRAWWELL_PROVIDER", "auto")
        if provider not in get_args(Provider):
            raise DrawwellError(f"DRAWWELL_PROVIDER must be one of {', '.join(get_args(Provider))}, not {provider!r}")
        named = environment.get("DRAWWELL_GENERATOR") or (PACKED_GENERATOR if PACKED_GENERATOR.is_file() else "fashion")
        return cls(
            generator=find_file(named),
            provider=cast(Provider, provider),
            threads=_positive(environment, "DRAWWELL_THREADS", None),
            max_count=_positive(environment, "DRAWWELL_MAX_COUNT", cls.max_count) or cls.max_count,
        )


def _positive(environment: Mapping[str, str], name: str, default: int | None) -> int | None:
    value = environment.get(name)
    if value is None:
        return default
    if not value.isdecimal() or int(value) < 1:
        raise DrawwellError(f"{name} must be an integer of at least 1, not {value!r}")
    return int(value)
