"""What a server serves: read once by the supervisor and handed on to every worker, whatever becomes of the files meanwhile."""

import hashlib
from dataclasses import dataclass

from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError
from drawwell.text import printable
from drawwell_serve.processes.shared_memory import SharedMemory
from drawwell_serve.settings import Settings


@dataclass(frozen=True)
class Handover:
    """A generator that was tried, its bytes in shared memory, and the key of that time."""

    name: str
    digest: str
    provider: str
    content: SharedMemory
    key: bytes | None

    def variables(self) -> dict[str, str]:
        """The settings of a worker that name what is handed on."""
        key = {} if self.key is None else {"DRAWWELL_KEY": self.key.decode()}
        return {"DRAWWELL_GENERATOR": str(self.content.path)} | key

    def in_words(self) -> str:
        """What is served, for the log."""
        access = "no key required" if self.key is None else "with a key"
        return f"{printable(self.name)} ({self.digest[:12]}) on {self.provider}, {access}"


def take(settings: Settings) -> Handover:
    """Read the generator and the key, and draw the known answers.

    Raises ``DrawwellError`` where they cannot be served.
    """
    key, file = settings.key(), settings.file
    engine = Engine(file, settings.provider, settings.threads_of_worker)
    engine.close()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DrawwellError(f"{file}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != engine.digest:
        raise DrawwellError(f"{file}: was replaced while it was read; try again")
    memory = SharedMemory(file.name, len(content))
    memory.write(content)
    return Handover(engine.card.name, engine.digest, engine.provider, memory, key)
