"""Microseconds per image to compute latents from addresses, compared with numpy's own normal numbers: D = 100, batches of 64."""

import numpy as np

from benchmarks.report import interleaved, seconds, write
from drawwell.addresses.latents import latents

DIM, BATCH, REPEATS, ROUNDS = 100, 64, 500, 15


def main() -> None:
    numpy_normal = np.random.Generator(np.random.PCG64(7))
    scattered = np.random.default_rng(0).permutation(1_000_000)[:BATCH]

    def microseconds_an_image(call: object) -> object:
        return lambda: seconds(call, REPEATS) / BATCH * 1e6  # type: ignore[arg-type]

    cases = {
        "range_normal": lambda: latents(7, range(1000, 1000 + BATCH), DIM),
        "range_uniform": lambda: latents(7, range(1000, 1000 + BATCH), DIM, "uniform"),
        "scattered_normal": lambda: latents(7, scattered, DIM),
        "numpy_pcg64_standard_normal_float64": lambda: numpy_normal.standard_normal((BATCH, DIM)),
        "numpy_pcg64_standard_normal_float32": lambda: numpy_normal.standard_normal((BATCH, DIM), dtype=np.float32),
    }
    measured = interleaved({name: microseconds_an_image(call) for name, call in cases.items()}, ROUNDS)  # type: ignore[misc]
    ratio = measured["range_normal"]["median"] / measured["numpy_pcg64_standard_normal_float64"]["median"]
    write(
        "latents",
        {"dim": DIM, "batch": BATCH, "microseconds_an_image": measured, "range_normal_against_numpy_float64": ratio},
    )


if __name__ == "__main__":
    main()
