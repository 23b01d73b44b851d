"""The files and the key of a server: the supervisor reads them once, and every worker gets them, even if the files change."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from drawwell.engine.engine import Engine
from drawwell.errors import DrawwellError
from drawwell.text import printable
from drawwell_serve.judge_file import read_judge
from drawwell_serve.processes.shared_memory import SharedMemory
from drawwell_serve.settings import Settings


@dataclass(frozen=True)
class Snapshot:
    """A generator whose known answers came out right, its bytes and those of its discriminator in shared memory, and the key at that
    time.
    """

    name: str
    digest: str
    provider: str
    content: SharedMemory
    key: bytes | None
    discriminator: SharedMemory | None = None

    @property
    def memories(self) -> list[SharedMemory]:
        """The files, for the workers to inherit."""
        return [self.content] if self.discriminator is None else [self.content, self.discriminator]

    def variables(self) -> dict[str, str]:
        """The environment variables of a worker that name the generator, the discriminator and the key."""
        key = {} if self.key is None else {"DRAWWELL_KEY": self.key.decode()}
        judge = {} if self.discriminator is None else {"DRAWWELL_DISCRIMINATOR": str(self.discriminator.path)}
        return {"DRAWWELL_GENERATOR": str(self.content.path)} | key | judge

    def in_words(self) -> str:
        """The generator, the provider and the access, for the log."""
        access = "no key required" if self.key is None else "key required"
        judges = "" if self.discriminator is None else ", with a discriminator"
        return f"{printable(self.name)} ({self.digest[:12]}) on {self.provider}{judges}, {access}"


def take_snapshot(settings: Settings) -> Snapshot:
    """Read the generator, its discriminator and the key, and draw the generator's known answers.

    Raises:
        DrawwellError: They cannot be read, or the known answers come out wrong.
    """
    key, file = settings.key(), settings.file
    engine = Engine(file, settings.provider, settings.threads_of_worker)
    engine.close()
    judge = read_judge(settings, engine.digest)
    content = _shared(file.name, _unchanged(file, engine.digest))
    discriminator = None if judge is None else _shared("discriminator.onnx", judge)
    return Snapshot(engine.card.name, engine.digest, engine.provider, content, key, discriminator)


def _unchanged(file: Path, digest: str) -> bytes:
    """The bytes of a file that was checked. Raises ``DrawwellError`` if it has another digest now."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DrawwellError(f"{file}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DrawwellError(f"{file}: was replaced while the server read it: start again")
    return content


def _shared(name: str, content: bytes) -> SharedMemory:
    memory = SharedMemory(name, len(content))
    memory.write(content)
    return memory
