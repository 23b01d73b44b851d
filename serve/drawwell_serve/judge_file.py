"""The file of the discriminator that a server judges with: the one of its settings, or the one beside its generator."""

import logging
from pathlib import Path

from drawwell.errors import DrawwellError
from drawwell.files.discriminator_file import check_belongs, discriminator_beside, read_discriminator
from drawwell_serve.settings import Settings

logger = logging.getLogger("drawwell.serve")


def discriminator_of(settings: Settings) -> Path | None:
    """Return the file, whatever it holds; None if the settings name none and none lies beside the generator."""
    if settings.discriminator is not None:
        return Path(settings.discriminator)
    beside = discriminator_beside(settings.file)
    return beside if beside.is_file() else None


def read_judge(settings: Settings, generator: str) -> bytes | None:
    """Return the bytes of the file for the workers, for the generator with the digest ``generator``; None if there is none.

    They are empty for a file beside the generator that cannot be used, and the log says why: images are drawn all the same.

    Raises:
        DrawwellError: The discriminator that the settings name is no whole file, or belongs to another generator.
    """
    if (file := discriminator_of(settings)) is None:
        return None
    try:
        found = read_discriminator(file)
        check_belongs(found.card, file, generator)
    except DrawwellError as error:
        if settings.discriminator is not None:
            raise
        logger.error("pictures are not judged: %s", error)
        return b""
    return found.content
