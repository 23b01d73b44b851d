"""BentoML's supervisor, which looks after the workers: ours sees sooner that one has died, and that clients go elsewhere."""

from typing import Any

import bentoml._internal.utils.circus as bentoml_circus
from circus.exc import ConflictError  # type: ignore[import-untyped]

LOOK_SECONDS = 0.5
"""Between two looks at the workers. One costs some ten microseconds; BentoML takes 10 s, in which half the capacity may be gone."""
_RETRY_SECONDS = 0.01


def install() -> None:
    """Make the supervisor that BentoML is about to start ours."""
    bentoml_circus.Arbiter = Supervisor  # type: ignore[misc]


class Supervisor(bentoml_circus.Arbiter):
    """Starts a worker in the place of a dead one within ``LOOK_SECONDS``, in a container too, where BentoML would wait until the
    last has died and then end; lets go of the port as soon as it is told to stop.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"check_delay": LOOK_SECONDS})
        for watcher in self.watchers:
            watcher.respawn = True

    def stop(self) -> Any:
        self.sockets.close_all()  # held to the end, it takes in connections that no worker answers any more
        try:
            return super().stop()
        except ConflictError:  # a worker is being started at this moment, and Circus would forget the signal
            self.loop.call_later(_RETRY_SECONDS, self.stop)
            return None
