"""A GAN of images: the trainer's own networks, losses, step, batches and measures, with narrow networks."""

from functools import lru_cache, partial

import torch

from drawwell.addresses.latents import latents
from drawwell_train.data import dataset
from drawwell_train.data.images import ImageData
from drawwell_train.monitor.measures import Measures, evaluating
from drawwell_train.networks.base import to_pixels
from drawwell_train.play.gan import Gan, rounded
from drawwell_train.play.options import IMAGE_SIZES, PlayOptions, config_of_images
from drawwell_train.play.views import Numbers, Sheets
from drawwell_train.step.batches import Batches, Real
from drawwell_train.step.state import build

_SHOWN_IMAGES = 64
_SHEET_SEED = 0
_NAMES = {"jsd": "bound"}
"""In the plane the divergence itself is known, and has this name."""


@lru_cache(maxsize=1)
def load(source: str) -> ImageData:
    """Read images of 28 or 32 px, once. Raises ``DataError`` for what cannot be trained on."""
    return dataset.load(source, sizes=IMAGE_SIZES)


class ImageGan(Gan):
    """One training on images."""

    measure_every = 20

    def __init__(self, options: PlayOptions, data: ImageData) -> None:
        """Build both networks from ``options.seed``. Raises ``RequestError`` for options that do not work together."""
        _, _, size, channels = data.images.shape
        config_of = partial(config_of_images, size=size, channels=channels)
        config, cpu = config_of(options), torch.device("cpu")
        super().__init__(config_of, options, build(config, cpu))
        self._batches = Batches(data, config, cpu, done=0)
        self._measures, self._measured = Measures(config, self._batches), Numbers()
        self._real = self._batches.fixed(0, _SHOWN_IMAGES).images
        self._z = torch.from_numpy(latents(_SHEET_SEED, range(len(self._real)), config.latent_dim, config.prior))

    def change(self, options: PlayOptions) -> None:
        """Go on with other options. Only those change that need no reset."""
        super().change(options)
        self._measures, self._measured = Measures(self._config, self._batches), Numbers()

    def _next_batch(self) -> Real:
        return self._batches.next()

    def measure(self) -> Numbers:
        """The numbers of the last updates, and those of fresh latents and held-out images, which each line of the curves renews."""
        if self.step % self.measure_every == 0 or not self._measured:
            measured = self._measures(self._state)
            self._measured = {_NAMES.get(name, name): value for name, value in measured.items()}
        return rounded(self._of_last_step() | self._measured)

    @torch.no_grad()
    def view(self) -> Sheets:
        """What the page draws: images of G as it is in this step, without the moving average that ``drawwell train`` shows."""
        generator = self._state.generator
        with evaluating(self._state):
            drawn = generator(self._z)
        return Sheets(*(to_pixels(images, generator.lowest).numpy() for images in (self._real, drawn)))
