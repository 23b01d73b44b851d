"""The discriminator that a server judges with: the one of its settings, or the one beside its generator."""

import logging
from pathlib import Path

from drawwell.engine.judge import Judge
from drawwell.errors import DrawwellError
from drawwell.files.discriminator_file import discriminator_beside
from drawwell.text import printable
from drawwell_serve.settings import Settings

logger = logging.getLogger("drawwell.serve")


def open_judge(settings: Settings, generator: str) -> tuple[Judge, Path] | None:
    """Open the discriminator of the generator with the digest ``generator``, and return it with its file; None if there is none.

    A file beside the generator that cannot be used is named in the log, and does not keep the generator from being served.

    Raises:
        DrawwellError: The discriminator of the settings cannot be used.
    """
    if settings.discriminator is not None:
        file = Path(settings.discriminator)
        return _opened(file, generator), file
    if not (file := discriminator_beside(settings.file)).is_file():
        return None
    try:
        return _opened(file, generator), file
    except DrawwellError as error:
        logger.warning("pictures are not judged: %s", error)
        return None


def _opened(file: Path, generator: str) -> Judge:
    judge = Judge(file, threads=1)  # pieces run side by side, each on one core
    if judge.card.generator != generator:
        raise DrawwellError(
            f"{printable(file)}: belongs to the generator {judge.card.generator[:12]}, and this is {generator[:12]}: "
            "export the run again, which writes both"
        )
    return judge
