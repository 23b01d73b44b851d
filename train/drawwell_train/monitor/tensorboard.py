"""The numbers of ``stats.jsonl`` as event files for TensorBoard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drawwell.install import needed_for
from drawwell_train.monitor.conditions import D_FAKE_STD

_GROUPS = {
    "loss": ("loss_d", "loss_g"),
    "outputs": ("d_real", "d_fake", D_FAKE_STD, "accuracy_d"),
    "gradients": ("gradient_d", "gradient_g"),
    "measures": ("value", "jsd", "diversity", "kid"),
    "speed": ("images_per_second",),
}

Show = Callable[[dict[str, Any]], None]


def check_installed() -> None:
    """Raise ``DrawwellError`` if the extra `tensorboard` is not installed."""
    _writer_class()


@contextmanager
def board(enabled: bool, folder: Path, step: int) -> Iterator[Show]:
    """Yield a function that writes a line into event files in ``folder``; if it is not ``enabled``, the function does nothing.

    Numbers that the folder holds beyond ``step`` are hidden from then on. The writer is tensorboardX, which needs no TensorBoard.
    Raises ``DrawwellError`` if it is not installed.
    """
    if not enabled:
        yield lambda _: None
        return
    writer_class = _writer_class()
    # The suffix keeps the names of two files of one second apart.
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
