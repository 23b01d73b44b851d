"""The pages: a head, and the sections below it. They are complete without JavaScript, which only keeps them up to date."""

from collections.abc import Sequence
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from drawwell_train.watch.elements import element, to_html
from drawwell_train.watch.sections import Sections, of_list, of_run, of_two
from drawwell_train.watch.watched_run import Snapshot


def sections(runs: Sequence[Snapshot], chosen: Sequence[Snapshot]) -> Sections:
    """The sections of the page about the chosen runs: of the list of ``runs`` if none is chosen, else of one, or of two."""
    if not chosen:
        return of_list(runs)
    return of_run(chosen[0]) if len(chosen) == 1 else of_two(chosen)


def page(runs: Sequence[Snapshot], chosen: Sequence[Snapshot], folder: str) -> str:
    """Return the page about the chosen runs as HTML. ``folder`` is the one that holds the ``runs``."""
    parts = list(sections(runs, chosen).values())
    events = "/events?" + urlencode([("run", run.id) for run in chosen])
    title = " and ".join(run.name for run in chosen) or f"Runs in {folder}"
    heading = element("h1", title)
    if not chosen:
        button = element("button", "Compare two runs", type="submit")
        parts = [element("form", *parts, button, action="/compare", method="get")]
    elif len(chosen) == 1 and len(runs) > 1:
        parts.insert(1, _compare(runs, chosen[0]))
    return _document(title, heading, parts, events, is_list=not chosen)


def message(title: str, sentence: str) -> str:
    """Return a page that says one sentence."""
    return _document(title, element("h1", title), [element("p", sentence)], "", is_list=False)


def _compare(runs: Sequence[Snapshot], one: Snapshot) -> Element:
    others = (element("option", run.name, value=run.id) for run in runs if run.id != one.id)
    return element(
        "form",
        element("input", type="hidden", name="run", value=one.id),
        element("label", "Compare with ", element("select", *others, name="run")),
        element("button", "Compare", type="submit"),
        action="/compare",
        method="get",
        class_="compare",
    )


def _document(title: str, heading: Element, parts: Sequence[Element], events: str, is_list: bool) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} · drawwell watch"),
        element("link", rel="stylesheet", href="/static/watch.css"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("script", type="module", src="/static/live.js"),
    )
    back = None if is_list else element("nav", element("a", "All runs", href="/"))
    status = element("p", id="connection", role="status")
    spoken = element("p", id="spoken", role="status", class_="spoken")
    hint = element(
        "noscript", element("p", "Without JavaScript this page shows the runs as they were when it was loaded.")
    )
    main = element("main", back, heading, status, hint, *parts, spoken, data_events=events)
    return "<!doctype html>" + to_html(element("html", head, element("body", main), lang="en"))
