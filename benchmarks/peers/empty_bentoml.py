"""The least that BentoML serves: what a start costs before anything is drawn."""

import bentoml


@bentoml.service(name="empty")
class Empty:
    """Answers with the count that it is sent."""

    @bentoml.api  # type: ignore[untyped-decorator]
    def generate(self, seed: int, count: int) -> int:  # noqa: ARG002 - the body is that of the others
        return count
