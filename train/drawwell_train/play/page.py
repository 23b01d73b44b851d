"""The page: lessons, pictures, numbers, options and curves. JavaScript fills in what the training tells."""

from xml.etree.ElementTree import Element

from drawwell_train.play.commands import PACES
from drawwell_train.play.lessons import LESSONS
from drawwell_train.play.options import CONTROLS, Choice, Number
from drawwell_train.watch.elements import element, to_html

_LEAD = (
    "A generator G turns random numbers into points or images, and a discriminator D tells them from the data. Both learn on this "
    "machine, with the losses and the step of drawwell train. Take a lesson, or press Start and change what you like."
)

_MEASURED = (
    "Best possible D: p / (p + q). The data's density p is known, and q is a kernel density estimate of 2,048 drawn points; p is blurred "
    "like q. The divergence compares these two, so it is a little lower than without blur. D's value proves the bound, without blur."
)


def page(images: str) -> str:
    """Return the page as HTML. ``images`` is the name of the images."""
    parts = [_lessons(), element("div", _pictures(), _controls(images), class_="stage"), _curves()]
    status = element("p", "The training is starting.", id="connection", role="status")
    spoken = element("p", id="spoken", role="status", class_="spoken")
    hint = element("noscript", element("p", "This page needs JavaScript.", class_="problem"))
    main = element(
        "main",
        element("h1", "Play with a GAN"),
        element("p", _LEAD, class_="lead"),
        hint,
        status,
        *parts,
        spoken,
        id="main",
    )
    return "<!doctype html>" + to_html(element("html", _head(), element("body", main), lang="en"))


def _head() -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "Play with a GAN · drawwell play"),
        element("link", rel="stylesheet", href="/static/watch.css"),
        element("link", rel="stylesheet", href="/static/play.css"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("script", type="module", src="/static/play.js"),
    )


def _lessons() -> Element:
    buttons = (
        element("button", lesson.title, type="button", data_lesson=name, aria_pressed="false", disabled="")
        for name, lesson in LESSONS.items()
    )
    told = element(
        "p",
        element("b", id="lesson-state"),
        " ",
        element("span", id="sentence"),
        role="status",
        class_="told",
        id="told",
    )
    return element("section", element("h2", "Lessons"), element("div", *buttons, class_="lessons"), told, id="lessons")


def _pictures() -> Element:
    return element(
        "section",
        element("h2", "The training", class_="spoken"),
        element("div", *_buttons(), _pace(), class_="run"),
        element(
            "div", _picture("now", "D now"), _picture("beside", "Best possible D for these points"), class_="pictures"
        ),
        _legend(),
        element("dl", id="numbers", class_="facts"),
        element("p", _MEASURED, id="measured", class_="soft"),
        id="training",
    )


def _picture(name: str, title: str) -> Element:
    canvas = element("canvas", id=name, width=640, height=640, role="img", aria_label=title)
    return element("figure", element("figcaption", title, id=f"{name}-title"), canvas, id=f"{name}-figure")


def _legend() -> Element:
    entries = {"real": "data", "drawn": "drawn by G", "low": "D says drawn", "high": "D says data"}
    marks = (
        element("li", element("span", class_=f"mark {name}"), element("span", words, id=f"legend-{name}"))
        for name, words in entries.items()
    )
    return element("ul", *marks, class_="marks", id="legend")


def _buttons() -> list[Element]:
    titles = {"run": "Start", "step": "One step", "reset": "Reset"}
    return [element("button", title, type="button", id=name, disabled="") for name, title in titles.items()]


def _pace() -> Element:
    values = {"": "as fast as it can", **{str(pace): f"{pace} steps a second" for pace in PACES}}
    options = (element("option", words, value=value) for value, words in values.items())
    return element("label", "Speed ", element("select", *options, id="pace", disabled=""))


def _controls(images: str) -> Element:
    fields = [element("label", control.label, _field(name, control, images)) for name, control in CONTROLS.items()]
    return element(
        "section",
        element("h2", "Options"),
        element("form", *fields, id="options"),
        element("p", id="problem", role="alert", class_="problem"),
        element(
            "p",
            "Data, networks, prior, packing and seed begin the training anew, and with images the loss wasserstein does too. The others "
            "change it while it runs.",
            class_="soft",
        ),
        id="controls",
    )


def _field(name: str, control: Choice | Number, images: str) -> Element:
    if isinstance(control, Choice):
        kind = "number" if all(isinstance(value, int) for value in control.values) else "text"
        words = dict(control.values) | ({"images": f"images: {images}"} if name == "data" else {})
        options = (element("option", one, value=value) for value, one in words.items())
        return element("select", *options, name=name, data_kind=kind, disabled="")
    bounds = {"min": control.least, "max": control.most, "step": control.step}
    return element("input", type="number", name=name, data_kind="number", disabled="", **bounds)


def _curves() -> Element:
    return element("section", element("h2", "Curves"), element("div", id="charts"), id="curves")
