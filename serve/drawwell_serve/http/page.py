"""The page at ``/``."""

import asyncio
import base64
import functools
import html
import re
from pathlib import Path
from string import Template

from drawwell.formats.png import contact_sheet, to_png
from drawwell_serve.drawing.image_service import Well

_TEMPLATE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_PREFIX = re.compile(r"/?[\w.~-]+(/[\w.~-]+)*/?", re.ASCII)
_PREFIX_CHARACTERS = 200
_SEED, _COLUMNS, _IMAGES = 7, 12, 48


async def render(well: Well, base_url: str, prefix: str = "") -> str:
    """The page as HTML. ``base_url`` is the server's address as the reader knows it, ``prefix`` the path prefix that a proxy removes."""
    engine, base = well.engine, base_url.rstrip("/")
    base += f"/{prefix.strip('/')}" if len(prefix) <= _PREFIX_CHARACTERS and _PREFIX.fullmatch(prefix) else ""
    sheet = await asyncio.to_thread(_sheet, well)
    facts = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>" for name, fact in engine.card.in_words().items()
    )
    return _TEMPLATE.substitute(
        name=html.escape(engine.card.name),
        base_url=html.escape(base),
        key=" -H 'Authorization: Bearer KEY'" if well.has_key else "",
        digest=engine.digest,
        fingerprint=html.escape(well.fingerprint),
        facts=facts,
        sheet=sheet,
        seed=_SEED,
        images=_IMAGES,
    )


@functools.cache
def _sheet(well: Well) -> str:
    images = well.engine.generate(_SEED, _IMAGES).images
    return base64.b64encode(to_png(contact_sheet(images, _COLUMNS))).decode()
