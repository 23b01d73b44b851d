"""The files of the page: modules, stylesheet and icon. They are the same on every server of a version, and need no key."""

import hashlib
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_YEAR_SECONDS = 365 * 24 * 3600

FILES = {
    file.name: file.read_bytes()
    for file in sorted(Path(__file__).with_name("static").iterdir())
    if file.suffix in MEDIA_TYPES
}
"""The content of each file, by its name."""

VERSION = hashlib.sha256(
    b"\0".join(part for name, content in FILES.items() for part in (name.encode(), content))
).hexdigest()[:16]
"""A hash of all files. It is part of every URL, so a cache may keep the files for ever, and modules find each other by name."""

_PATH = re.compile(r"/page/[0-9a-f]{16}/[a-z]+\.(?:css|js|svg)", re.ASCII)


def is_page_file(path: str) -> bool:
    """Whether a path names a file of the page. Browsers send no key with a module or a stylesheet."""
    return _PATH.fullmatch(path) is not None


async def page_file(request: Request) -> Response:
    """``GET /page/{version}/{file}``: a file of the page."""
    name = request.path_params["file"]
    if request.path_params["version"] != VERSION or name not in FILES:
        raise HTTPException(404)
    headers = {"Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable"}
    return Response(FILES[name], headers=headers, media_type=MEDIA_TYPES[Path(name).suffix])
