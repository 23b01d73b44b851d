"""One training that a person plays with: it obeys commands, makes steps, keeps its numbers and knows its lesson."""

from drawwell_train.monitor.conditions import Watch
from drawwell_train.play.commands import Command
from drawwell_train.play.image_gan import ImageGan, load
from drawwell_train.play.lessons import Lesson, given_up
from drawwell_train.play.options import Data, PlayOptions, needs_reset, with_rates
from drawwell_train.play.plane import Plane
from drawwell_train.play.product import Product
from drawwell_train.play.views import Game, Line, Numbers, View

_MOST_LINES = 600
"""Then every second one is dropped, and half as many are kept from there on. No lesson takes so many."""


class Session:
    """A training, paused at first.

    Args:
        source: of the images: a path, or ``digits``. They are read when a training first wants them.
        data: what the first training learns.

    Attributes:
        options: of the training.
        running: whether it makes steps until it is paused or over.
        pace: steps a second at most; None for as many as the machine makes.
        lesson: the one that is taught or was taught; None once a person has changed an option.
        sentence: what to look at, what was seen, or why the training is over.
        ended: whether the lesson showed what it is about.
        lines: the numbers so far.
    """

    def __init__(self, source: str = "digits", data: Data = "ring") -> None:
        self._source = source
        self.running = False
        self.pace: int | None = None
        self._begin(with_rates(PlayOptions(data=data)))

    def obey(self, command: Command) -> None:
        """Carry out a command."""
        if command.do == "lesson" and command.lesson:
            self._teach(command.lesson)
        elif command.do == "options" and command.options:
            self._change(command.options)
        elif command.do == "pace":
            self.pace = command.pace
        elif command.do == "reset":
            self._begin(self.options)
        elif command.do == "step":
            self.running = False
            self.advance()
        else:
            self.running = command.do == "start" and not self._over()

    def advance(self) -> None:
        """Make one step, and measure after every few."""
        if self._over():
            return
        self._game.advance()
        if self._game.step % self._game.measure_every == 0:
            self._measure()

    @property
    def step(self) -> int:
        """Steps done."""
        return self._game.step

    def numbers(self) -> Numbers:
        """The numbers of this step."""
        return self._game.measure()

    def view(self) -> View:
        """What the page draws."""
        return self._game.view()

    def _begin(self, options: PlayOptions, lesson: Lesson | None = None) -> None:
        self.options, self.lesson = options, lesson
        self.running, self.ended, self.sentence = lesson is not None, False, lesson.look if lesson else ""
        self.lines: list[Line] = []
        self._kept_every = 1
        self._watch = Watch(options.loss)
        self._game = self._game_of(options)
        self._measure()

    def _game_of(self, options: PlayOptions) -> Game:
        if options.data == "product":
            return Product(options)
        return ImageGan(options, load(self._source)) if options.data == "images" else Plane(options)

    def _teach(self, lesson: Lesson) -> None:
        self.pace = lesson.pace
        self._begin(lesson.options, lesson)

    def _change(self, options: PlayOptions) -> None:
        options = with_rates(options, self.options)
        running, resets = self.running, needs_reset(self.options, options)
        if resets:
            self._begin(options)
            self.running = running
        elif options != self.options:
            if options.loss != self.options.loss:
                self._watch = Watch(options.loss)
            self.options, self.lesson, self.sentence = options, None, ""
            self._game.change(options)

    def _measure(self) -> None:
        numbers = self._game.measure()
        self._watch.look({"step": self.step} | numbers)
        if self.step % (self._game.measure_every * self._kept_every) == 0:
            self.lines.append(Line(self.step, numbers, self._watch.active))
        if len(self.lines) > _MOST_LINES:
            self.lines, self._kept_every = self.lines[::2], 2 * self._kept_every
        self._judge()

    def _judge(self) -> None:
        lesson = self.lesson
        if lesson and not self.ended and self.sentence == lesson.look:
            if lesson.ended(self.lines):
                self.running, self.ended, self.sentence = False, True, lesson.seen(self.lines)
            elif self.step >= lesson.most_steps:
                self.running, self.sentence = False, given_up(lesson)
        self._over()

    def _over(self) -> bool:
        if over := self._game.over():
            self.running, self.sentence = False, over
        return bool(over)
