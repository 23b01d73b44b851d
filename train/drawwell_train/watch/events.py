"""Server-sent events: the parts of a page that have changed, as a JSON object of HTML by their ids."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence

from drawwell_train.watch import pages
from drawwell_train.watch.charts import PLOT_WIDTH
from drawwell_train.watch.elements import to_html
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.runs_table import runs_table
from drawwell_train.watch.sections import PLOT, live_parts
from drawwell_train.watch.snapshot import Snapshot
from drawwell_train.watch.watched_run import WatchedRun

_LOOK_SECONDS = 1
"""Between two looks at the files. A new line is shown within two seconds."""


async def events(runs: FoundRuns, chosen: Sequence[WatchedRun], stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Look at the chosen runs, or at all if none is chosen, until ``stopping``. The first event holds the whole page."""
    page = _Sent()
    while not stopping():
        changed = await asyncio.to_thread(_look, page, runs, chosen)
        # a comment keeps the connection alive, and finds out that nobody reads any more
        yield f"data: {json.dumps(changed)}\n\n" if changed else ": nothing new\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _look(page: "_Sent", runs: FoundRuns, chosen: Sequence[WatchedRun]) -> dict[str, str]:
    if chosen:
        return page.changed_runs([run.snapshot() for run in chosen])
    return page.changed_list([run.snapshot() for run in runs.all()])


class _Sent:
    """What a page shows."""

    def __init__(self) -> None:
        self._html: dict[str, str] = {}
        self._seen: list[Snapshot] | None = None
        self._drawn: list[Snapshot] = []

    def changed_list(self, runs: list[Snapshot]) -> dict[str, str]:
        """The list, if it has changed."""
        return self._changed({"runs": to_html(runs_table(runs))}) if self._is_new(runs) else {}

    def changed_runs(self, runs: list[Snapshot]) -> dict[str, str]:
        """The parts about one run, or about two, that have changed. Curves are drawn anew only where that can be seen."""
        if not self._is_new(runs):
            return {}
        draws = not self._drawn or any(map(_looks_different, self._drawn, runs))
        if draws:
            self._drawn = runs
        parts = live_parts(pages.sections(runs))
        return self._changed(
            {name: to_html(part) for name, part in parts.items() if draws or not name.startswith(PLOT)}
        )

    def _is_new(self, runs: list[Snapshot]) -> bool:
        before, self._seen = self._seen, runs
        return before is None or len(before) != len(runs) or any(map(lambda one, other: one is not other, before, runs))

    def _changed(self, made: dict[str, str]) -> dict[str, str]:
        changed = {name: html for name, html in made.items() if self._html.get(name) != html}
        self._html |= changed
        return changed


def _looks_different(drawn: Snapshot, now: Snapshot) -> bool:
    """Whether the curves of a run have grown by a pixel, or something else has happened: a long run would else be sent for every line."""
    grown = now.step - drawn.step
    return not 0 <= grown < now.step / PLOT_WIDTH or (drawn.state, len(drawn.bands)) != (now.state, len(now.bands))
