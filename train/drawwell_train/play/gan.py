"""A game of two networks: the trainer's own state and step, on batches of one kind of data."""

import statistics
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from drawwell_train.config import TrainConfig
from drawwell_train.monitor.conditions import D_FAKE_STD, NAN
from drawwell_train.play.options import PlayOptions
from drawwell_train.play.views import Numbers
from drawwell_train.step.batches import Real
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import Stats, train_step


class Gan(ABC):
    """G and D of one training. Its numbers are a pure function of the options, of their changes and of the number of steps."""

    measure_every = 10

    def __init__(
        self, config_of: Callable[[PlayOptions], TrainConfig], options: PlayOptions, state: TrainState
    ) -> None:
        """Begin with ``state``, which was built from ``config_of(options)``."""
        self._config_of, self._config, self._state = config_of, config_of(options), state
        self._stats: Stats = {}
        self._fakes: deque[float] = deque(maxlen=self.measure_every)

    def change(self, options: PlayOptions) -> None:
        """Go on with other options. Only those change that need no reset."""
        self._config = self._config_of(options)
        rates = {self._state.optimizer_g: options.rate_g, self._state.optimizer_d: options.rate_d}
        for optimizer, rate in rates.items():
            for group in optimizer.param_groups:
                group["initial_lr"] = rate

    @property
    def step(self) -> int:
        """Steps done."""
        return self._state.step

    def advance(self) -> None:
        """Make one step."""
        self._stats = train_step(self._state, self._config, self._next_batch)
        self._fakes.append(float(self._stats["d_fake"]))

    def over(self) -> str:
        """A sentence once the networks are broken."""
        weights = [*self._state.generator.parameters(), *self._state.discriminator.parameters()]
        if all(bool(weight.isfinite().all()) for weight in weights):
            return ""
        return f"Training diverged at step {self.step:,}: a weight is {NAN} or infinite. Choose lower learning rates and reset."

    @abstractmethod
    def _next_batch(self) -> Real:
        """Real images of one update of D."""

    def _of_last_step(self) -> Numbers:
        """The numbers of the last updates."""
        numbers = {name: float(value) for name, value in self._stats.items()}
        return numbers | ({D_FAKE_STD: statistics.pstdev(self._fakes)} if self._fakes else {})


def rounded(numbers: Numbers) -> Numbers:
    """Four digits of each number, which is what a person reads."""
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}
