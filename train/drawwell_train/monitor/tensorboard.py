"""What ``stats.jsonl`` holds, for TensorBoard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drawwell.install import needed_for

_GROUPS = {
    "loss": ("loss_d", "loss_g"),
    "outputs": ("d_real", "d_fake", "swing", "accuracy_d"),
    "gradients": ("gradient_d", "gradient_g"),
    "measures": ("value", "jsd", "diversity", "kid"),
    "speed": ("images_per_second",),
}

Show = Callable[[dict[str, Any]], None]


def check_installed() -> None:
    """Raise ``DrawwellError`` where the extra is not there."""
    _writer_class()


@contextmanager
def board(wanted: bool, folder: Path, step: int) -> Iterator[Show]:
    """A function that writes a line into event files in ``folder``, or nothing. What they hold past ``step`` is not shown any more.

    Raises ``DrawwellError`` where the extra is not installed. The writer is tensorboardX: it needs no TensorBoard.
    """
    if not wanted:
        yield lambda _: None
        return
    writer_class = _writer_class()
    # else two files of one second would have one name
    with writer_class(str(folder), purge_step=step + 1, filename_suffix=f".{step}") as writer:

        def show(line: dict[str, Any]) -> None:
            for group, names in _GROUPS.items():
                for name in names:
                    if name in line:
                        writer.add_scalar(f"{group}/{name}", line[name], line["step"])
            writer.flush()

        yield show


def _writer_class() -> Any:
    with needed_for("--tensorboard", "tensorboard"):
        from tensorboardX import SummaryWriter
    return SummaryWriter
