"""The JSON of a card: its kind and its version are read before the rest."""

from typing import Literal, TypeVar

import msgspec

from drawwell.errors import GeneratorFileError
from drawwell.text import printable

Card = TypeVar("Card")
Kind = Literal["generator", "discriminator"]
"""A generator draws images, a discriminator judges them."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The exceptions that msgspec raises for bytes that are not the expected JSON."""

_OF_OTHER_KIND: dict[Kind, str] = {
    "generator": "is a discriminator, which judges images and draws none: name the generator file beside it",
    "discriminator": "is a generator, which judges no images, and no discriminator lies beside it: export the run again",
}


class _Head(msgspec.Struct):
    """Decoded before the rest: a card of another kind or format is refused without being built in memory."""

    kind: msgspec.Raw = msgspec.Raw(b'"generator"')
    format_version: msgspec.Raw = msgspec.Raw(b"None")


def kind_of(text: str | bytes) -> Kind:
    """Return the kind of the card in ``text``: ``generator`` for anything that is no card of a discriminator."""
    try:
        kind = bytes(msgspec.json.decode(text, type=_Head).kind)
    except UNREADABLE:
        return "generator"
    return "discriminator" if kind == b'"discriminator"' else "generator"


def card_from(text: str | bytes, kind: Kind, versions: tuple[int, ...], card: type[Card]) -> Card:
    """Return the card of this kind in ``text``. Raises ``GeneratorFileError`` for anything else, and for another format version."""
    if not text:
        raise GeneratorFileError("has no card, so drawwell export did not write it: export the run again")
    try:
        head = msgspec.json.decode(text, type=_Head)
        if bytes(head.kind) != b'"%s"' % kind.encode():
            raise GeneratorFileError(_OF_OTHER_KIND[kind])
        version = bytes(head.format_version)
        if version not in [b"%d" % known for known in versions]:
            raise GeneratorFileError(
                f"is written in format {printable(version.decode(), 40)}, this drawwell reads {' and '.join(map(str, versions))}: "
                "install the drawwell version that wrote it, or export the run again"
            )
        return msgspec.json.decode(text, type=card)
    except UNREADABLE as error:
        raise GeneratorFileError(f"its card is not valid ({printable(error, 300)})") from error
