"""The figures of the engine and the server in docs/reports/speed.md, written from their files in ``results/``: none is copied by hand."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.pages import REPORTS, replace_section
from benchmarks.report import RESULTS

PAGE = REPORTS / "speed.md"
_ROWS = ("plain", "portable", "cpu", "cpu-int8")
_MODELS = {
    "dcgan64": "DCGAN, 64 px, colour (512, 256, 128, 64 channels)",
    "small": "small, 32 px, colour (256, 128, 64 channels)",
    "fashion": "fashion, 28 px, grey (128, 64 channels)",
}


def update() -> None:
    """Write the figures of the engine into the page."""
    replace_section(PAGE, "engine", "benchmarks/results/engine-cpu.json", engine_figures())


def update_serving() -> None:
    """Write the figures of the server into the page."""
    measured = json.loads((RESULTS / "serving-cpu.json").read_text())
    replace_section(PAGE, "serving", "benchmarks/results/serving-cpu.json", serving_figures(measured))


def engine_figures() -> str:
    """Images a second, and how many times plain's; then what is left to the kernels, and PNG."""
    models = json.loads((RESULTS / "engine-cpu.json").read_text())["models"]
    lines = ["| images a second, by images at once | 1 | 16 | 64 |", "|---|---|---|---|"]
    for name, model in models.items():
        lines += [f"| **{_MODELS[name]}** | | | |", *(_row(model, row) for row in _ROWS)]

    def across(figure: Callable[[Any], float]) -> str:
        least, most = (f"{pick(map(figure, models.values())):.0f}" for pick in (min, max))
        return f"{least} %" if least == most else f"{least} to {most} %"

    cpu, int8 = (across(lambda model, t=t: 100 * model["share_of_best_kernel"][t]) for t in ("cpu", "cpu-int8"))  # type: ignore[misc]
    drawn, drawn_int8, pillow = (
        across(lambda model, t=t: _png(model, t))  # type: ignore[misc]
        for t in ("generation_cpu", "generation_cpu-int8", "pillow_level_1")
    )
    lines += [
        "",
        f"Of the best rate at which ONNX Runtime convolves here, `cpu` reaches {cpu} and `cpu-int8` {int8}.",
        f"A PNG takes {drawn} of the time in which one core draws its image with `cpu` ({drawn_int8} with `cpu-int8`).",
        f"That is {pillow} of Pillow's time at level 1, for {across(_more_bytes)} more bytes.",
    ]
    return "\n".join(lines) + "\n"


def _row(model: dict[str, Any], row: str) -> str:
    cells = [
        f"{figures[row]['median']:,.0f}"
        + (f" ({model['against_plain'][batch][row]['median']:.2f}x)" if row != "plain" else "")
        for batch, figures in model["images_a_second"].items()
    ]
    return f"| {'plain export' if row == 'plain' else f'`{row}`'} | {' | '.join(cells)} |"


def _png(model: dict[str, Any], beside: str) -> float:
    timed = model["png"]["microseconds_an_image"]
    return float(100 * timed["to_pngs"]["median"] / timed[beside]["median"])


def _more_bytes(model: dict[str, Any]) -> float:
    sizes = model["png"]["bytes"]
    return float(100 * (sizes["to_pngs"] / sizes["pillow_level_1"] - 1))


def serving_figures(measured: dict[str, Any]) -> str:
    """A latency for one client with one image, images a second and how many times the bare session's for the others."""
    cases = measured["cases"]
    heads = [f"{case['clients']} x {case['count']}" + (", p50 / p99" if _lone(case) else "") for case in cases.values()]
    lines = [f"| clients x images of a request | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, model in measured["models"].items():
        bare = f"{model['bare_images_a_second']['median']:,.0f}"
        lines.append(f"| **{_MODELS[name]}**, bare session {bare} |{' |' * len(heads)}")
        for server, by_case in model["servers"].items():
            lines.append(f"| {server} | {' | '.join(_cell(cases[case], seen) for case, seen in by_case.items())} |")
    ours, empty = (measured["seconds_to_first_reply"][name]["median"] for name in ("drawwell", "empty"))
    first = f"The first reply comes {ours:.2f} s after `bentoml serve`, that of an empty BentoML service after {empty:.2f} s."
    return "\n".join([*lines, "", first, *_beside(measured)]) + "\n"


def _beside(measured: dict[str, Any]) -> list[str]:
    lines = []
    for name, model in measured["models"].items():
        for server, lone in model["lone_beside_long"].items():
            quiet, beside, piece = (lone[what]["median"] for what in ("quiet_p99_ms", "beside_p99_ms", "piece_ms"))
            lines.append(
                f"p99 of a lone image, {_MODELS[name]}, {server}: {quiet:.1f} ms; beside a request for 4,096: {beside:.1f} ms, "
                f"while a piece takes {piece:.1f} ms."
            )
    return lines


def _lone(case: dict[str, int]) -> bool:
    return case == {"clients": 1, "count": 1}


def _cell(case: dict[str, int], seen: dict[str, dict[str, float]]) -> str:
    if _lone(case):
        return f"{seen['p50_ms']['median']:.2f} / {seen['p99_ms']['median']:.2f} ms"
    return f"{seen['images_a_second']['median']:,.0f} ({seen['against_bare']['median']:.2f}x)"


if __name__ == "__main__":
    update()
    update_serving()
