"""What a server says of itself in /metrics."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Server


def total(server: Server, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels; 0 where there is none."""
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())
