"""The pages: a head, and the sections below it. They are complete without JavaScript, which only keeps them up to date."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from drawwell_train.watch.elements import element, to_html
from drawwell_train.watch.runs_table import runs_table
from drawwell_train.watch.sections import of_run, of_two
from drawwell_train.watch.snapshot import Snapshot


def sections(chosen: Sequence[Snapshot]) -> list[Element]:
    """The sections of the page about one run, or about two."""
    return of_run(chosen[0]) if len(chosen) == 1 else of_two(chosen)


def list_page(runs: Sequence[Snapshot], folder: str) -> str:
    """Return the page of all runs as HTML. ``folder`` is the one that holds them."""
    button = element("button", "Compare two runs", type="submit")
    form = element("form", runs_table(runs), button, action="/compare", method="get")
    return _document(f"Runs in {folder}", [form], "/events", is_list=True)


def run_page(chosen: Sequence[Snapshot], others: Mapping[str, str]) -> str:
    """Return the page about one run, or about two, as HTML. ``others`` are the names of further runs by their ids."""
    parts = sections(chosen)
    if len(chosen) == 1 and others:
        parts.insert(1, _compare(chosen[0], others))
    events = "/events?" + urlencode([("run", run.id) for run in chosen])
    return _document(" and ".join(run.name for run in chosen), parts, events)


def message(title: str, sentence: str) -> str:
    """Return a page that says one sentence."""
    return _document(title, [element("p", sentence)], "")


def _compare(one: Snapshot, others: Mapping[str, str]) -> Element:
    names = (element("option", name, value=run_id) for run_id, name in others.items())
    return element(
        "form",
        element("input", type="hidden", name="run", value=one.id),
        element("label", "Compare with ", element("select", *names, name="run")),
        element("button", "Compare", type="submit"),
        action="/compare",
        method="get",
        class_="compare",
    )


def _document(title: str, parts: Sequence[Element], events: str, is_list: bool = False) -> str:
    back = None if is_list else element("nav", element("a", "All runs", href="/"))
    status = element("p", id="connection", role="status")
    spoken = element("p", id="spoken", role="status", class_="spoken")
    hint = element(
        "noscript", element("p", "Without JavaScript this page shows the runs as they were when it was loaded.")
    )
    main = element("main", back, element("h1", title), status, hint, *parts, spoken, data_events=events)
    return "<!doctype html>" + to_html(element("html", _head(title), element("body", main), lang="en"))


def _head(title: str) -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} · drawwell watch"),
        element("link", rel="stylesheet", href="/static/watch.css"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("script", type="module", src="/static/live.js"),
    )
