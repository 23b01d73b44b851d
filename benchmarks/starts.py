"""Seconds from the start of a server to its first 200 of ``POST /generate``, compared with an empty BentoML service."""

from benchmarks.contenders import EMPTY, ours
from benchmarks.report import spread
from benchmarks.servers import serving
from drawwell.engine.onnx_session import Provider


def first_replies(provider: Provider, starts: int) -> dict[str, dict[str, float]]:
    """Return the seconds of our server with its default generator, of the empty service, and of their difference within a turn."""
    contenders = {"drawwell": ours("fashion", provider), "empty": EMPTY}
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(starts):
        for name, contender in contenders.items():
            with serving(name, contender) as server:
                seen[name].append(server.start_seconds)
    difference = [one - other for one, other in zip(seen["drawwell"], seen["empty"], strict=True)]
    return {name: spread(values) for name, values in seen.items()} | {"difference": spread(difference)}
