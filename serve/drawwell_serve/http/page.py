"""The page at ``/``, and the form that asks a person for the key of the server."""

import html
import re
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse, Response

from drawwell.files.card import ModelCard
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.errors import ApiError
from drawwell_serve.http.card_charts import certificate_chart, training_charts
from drawwell_serve.http.card_tables import TABLED, certificate_table, definition_list, quality_table
from drawwell_serve.http.page_files import VERSION
from drawwell_serve.metrics import refused

_PAGE, _KEY_FORM = (
    Template(Path(__file__).with_name(name).read_text(encoding="utf-8")) for name in ("page.html", "key.html")
)
_PATH_PREFIX = re.compile(r"/?[\w.~-]+(/[\w.~-]+)*/?", re.ASCII)
_PREFIX_CHARACTERS = 200
_SEED, _IMAGES = 7, 48
_NOT_STORED = {"Cache-Control": "no-store"}
"""The page holds the host name of its client."""


def render(service: ImageService, base_url: str, prefix: str = "") -> Response:
    """Return the page.

    Args:
        service: Its generator is shown.
        base_url: The server's URL as the client knows it.
        prefix: The path prefix that a proxy removes.
    """
    engine, base = service.engine, base_url.rstrip("/")
    base += f"/{prefix.strip('/')}" if len(prefix) <= _PREFIX_CHARACTERS and _PATH_PREFIX.fullmatch(prefix) else ""
    text = _PAGE.substitute(
        static=f"page/{VERSION}",
        name=html.escape(engine.card.name),
        summary=html.escape(_summary(engine.card)),
        base_url=html.escape(base),
        has_key=str(service.has_key).lower(),
        key=' -H "Authorization: Bearer $DRAWWELL_KEY"' if service.has_key else "",
        facts=definition_list(_facts(service)),
        quality=quality_table(engine.card.quality),
        history=training_charts(engine.card.history),
        uplift=certificate_chart(engine.card.certificate),
        certificate=certificate_table(engine.card.certificate),
        pictures=_pictures(engine.digest),
        seed=_SEED,
        last=_IMAGES - 1,
    )
    return HTMLResponse(text, headers=_NOT_STORED)


def key_form(error: ApiError) -> Response:
    """Return the reply to a person whose request has no key or a wrong one. It counts the refusal."""
    refused(error.code)
    text = _KEY_FORM.substitute(static=f"page/{VERSION}")
    return HTMLResponse(text, error.status, headers={**(error.headers or {}), **_NOT_STORED})


def _summary(card: ModelCard) -> str:
    colour = "grey" if card.channels == 1 else "colour"
    kinds = f", {len(card.class_names):,} classes" if card.class_names else ""
    return f"{card.height} x {card.width} pixels in {colour}{kinds}, trained on {card.training.dataset}"


def _facts(service: ImageService) -> dict[str, str]:
    """The card in words without what the tables show, and where it is drawn."""
    engine = service.engine
    a_second = engine.threads / service.scheduler.drawing.row_seconds
    words = {name: fact for name, fact in engine.card.in_words().items() if name not in TABLED}
    return words | {
        "Drawn here": f"on {engine.provider}, about {a_second:,.0f} images a second, measured by this server",
        "Digest": engine.digest,
        "Render fingerprint": service.fingerprint,
    }


def _pictures(digest: str) -> str:
    """Pictures for a browser without JavaScript, each a link to its address."""
    return "".join(
        f'<a href="images/{digest}/{_SEED}/{index}.png">'
        f'<img src="images/{digest}/{_SEED}/{index}.png" alt="Image {index} of seed {_SEED}" loading="lazy"></a>'
        for index in range(_IMAGES)
    )
