"""The page at ``/``."""

import asyncio
import base64
import html
import re
from pathlib import Path
from string import Template
from weakref import WeakKeyDictionary

import numpy as np

from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Images
from drawwell.image_request import ImageRequest
from drawwell_serve.drawing.active_request import ActiveRequest
from drawwell_serve.drawing.image_service import ImageService

_TEMPLATE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_PATH_PREFIX = re.compile(r"/?[\w.~-]+(/[\w.~-]+)*/?", re.ASCII)
_PREFIX_CHARACTERS = 200
_SEED, _COLUMNS, _IMAGES = 7, 12, 48

_sheets = WeakKeyDictionary[ImageService, str]()


async def render(service: ImageService, base_url: str, prefix: str = "") -> str:
    """Return the page as HTML.

    Args:
        service: Its generator is shown.
        base_url: The server's URL as the client knows it.
        prefix: The path prefix that a proxy removes.
    """
    engine, base = service.engine, base_url.rstrip("/")
    base += f"/{prefix.strip('/')}" if len(prefix) <= _PREFIX_CHARACTERS and _PATH_PREFIX.fullmatch(prefix) else ""
    facts = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>" for name, fact in engine.card.in_words().items()
    )
    return _TEMPLATE.substitute(
        name=html.escape(engine.card.name),
        base_url=html.escape(base),
        key=" -H 'Authorization: Bearer KEY'" if service.has_key else "",
        digest=engine.digest,
        fingerprint=html.escape(service.fingerprint),
        facts=facts,
        sheet=await _sheet(service),
        seed=_SEED,
        images=_IMAGES,
        last=_IMAGES - 1,
    )


async def _sheet(service: ImageService) -> str:
    """A contact sheet as a base64 PNG, drawn for the first reader."""
    if service not in _sheets:
        request = ImageRequest(_SEED, range(_IMAGES))
        pieces = [piece async for piece in service.stream(request, ActiveRequest(service.scheduler.drawing), _images)]
        png = await asyncio.to_thread(lambda: to_png(contact_sheet(np.concatenate(pieces), _COLUMNS)))
        _sheets[service] = base64.b64encode(png).decode()
    return _sheets[service]


def _images(images: Images, _: int) -> Images:
    return images
