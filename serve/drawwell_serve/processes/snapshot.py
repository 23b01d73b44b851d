"""The generator and the key of a server: the supervisor reads them once, and every worker gets them, even if the files change."""

import hashlib
from dataclasses import dataclass

from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError
from drawwell.text import printable
from drawwell_serve.processes.shared_memory import SharedMemory
from drawwell_serve.settings import Settings


@dataclass(frozen=True)
class Snapshot:
    """A generator whose known answers came out right, its bytes in shared memory, and the key at that time."""

    name: str
    digest: str
    provider: str
    content: SharedMemory
    key: bytes | None

    def variables(self) -> dict[str, str]:
        """The environment variables of a worker that name the generator and the key."""
        key = {} if self.key is None else {"DRAWWELL_KEY": self.key.decode()}
        return {"DRAWWELL_GENERATOR": str(self.content.path)} | key

    def in_words(self) -> str:
        """The generator, the provider and the access, for the log."""
        access = "no key required" if self.key is None else "key required"
        return f"{printable(self.name)} ({self.digest[:12]}) on {self.provider}, {access}"


def take_snapshot(settings: Settings) -> Snapshot:
    """Read the generator and the key, and draw the generator's known answers.

    Raises:
        DrawwellError: They cannot be read, or the known answers come out wrong.
    """
    key, file = settings.key(), settings.file
    engine = Engine(file, settings.provider, settings.threads_of_worker)
    engine.close()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DrawwellError(f"{file}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != engine.digest:
        raise DrawwellError(f"{file}: was replaced while the server read it: start again")
    memory = SharedMemory(file.name, len(content))
    memory.write(content)
    return Snapshot(engine.card.name, engine.digest, engine.provider, memory, key)
