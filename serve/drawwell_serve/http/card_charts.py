"""The curves of a model card: how its training went, and what its images add to real ones."""

from collections.abc import Iterator, Mapping

from drawwell.files.certified import Accuracy, Certified
from drawwell.files.history import Curve, TrainingHistory
from drawwell.files.quality import WORDS
from drawwell_serve.http.charts import Chart, Level, Line, Point, figure, number

_DATA_DIVERSITY = Level(1.0, "as in the data")


def training_charts(history: TrainingHistory | None) -> str:
    """Return a chart of each number that the training measured, as HTML; empty without any."""
    charts = [] if history is None else [*_training(history)]
    return f'<div class="charts">{"".join(map(figure, charts))}</div>' if charts else ""


def certificate_chart(certificate: Certified | None) -> str:
    """Return the accuracy of classifiers over the number of real images, as HTML; empty without a certificate."""
    return "" if certificate is None else f'<div class="charts">{figure(_uplift(certificate))}</div>'


def _training(history: TrainingHistory) -> Iterator[Chart]:
    if history.kid:
        yield _kid(history.kid)
    if history.diversity:
        yield _diversity(history.diversity)
    if history.d_real and history.d_fake:
        yield _outputs(history)


def _kid(curve: Curve) -> Chart:
    label = WORDS["kid"].label
    thousandfold = tuple((step, 1000 * kid) for step, kid in curve)
    meaning = "How far drawn images are from real ones, measured on few images. Lower is better."
    return _by_step("kid", "KID during training", meaning, label, {label: thousandfold}, bounds=(0.0,))


def _diversity(curve: Curve) -> Chart:
    meaning = "How much drawn images differ from each other: 0 for copies of a few images, 1 for images that differ as much as the data."
    title = "Diversity during training"
    return _by_step("diversity", title, meaning, "diversity", {"diversity": curve}, _DATA_DIVERSITY, (0.0,))


def _outputs(history: TrainingHistory) -> Chart:
    title, curves = "The discriminator during training", {"D(x)": history.d_real, "D(G(z))": history.d_fake}
    if not history.gives_probabilities:
        meaning = "What it says of real images, D(x), and of drawn ones, D(G(z)). Its scores have no fixed scale."
        return _by_step("outputs", title, meaning, "score", curves)
    meaning = "How sure it is that real images, D(x), and drawn ones, D(G(z)), are real. The nearer the two, the less it tells them apart."
    return _by_step("outputs", title, meaning, "probability of being real", curves, bounds=(0.0, 1.0))


def _by_step(
    name: str,
    title: str,
    meaning: str,
    y_label: str,
    curves: Mapping[str, Curve],
    level: Level | None = None,
    bounds: tuple[float, ...] = (),
) -> Chart:
    lines = [Line(label, [Point(*point) for point in curve], number(curve[-1][1])) for label, curve in curves.items()]
    words = " ".join(_in_words(label, curve) for label, curve in curves.items())
    return Chart(name, title, meaning, "training step", y_label, lines, words, level, bounds)


def _in_words(label: str, curve: Curve) -> str:
    values = [value for _, value in curve]
    last, value = curve[-1]
    return f"{label}: {number(value)} at step {last:,}, from {number(min(values))} to {number(max(values))}."


def _uplift(certificate: Certified) -> Chart:
    rows = sorted(certificate.rows, key=lambda row: row.real_images)
    lines = {
        "real only": [(row.real_images, row.real) for row in rows],
        "drawn only": [(row.real_images, certificate.drawn) for row in rows],
        "real + drawn": [(row.real_images, row.both) for row in rows],
    }
    return Chart(
        id="uplift",
        title="What drawn images add to real ones",
        meaning=(
            "Accuracy of a classifier by the number of real images that it learned from: "
            f"mean and standard deviation of {certificate.classifiers:,} classifiers."
        ),
        x_label="real images",
        y_label=f"accuracy on {certificate.test_images:,} test images (%)",
        lines=[Line(label, [_percent(*point) for point in points]) for label, points in lines.items()],
        in_words="The table below has these accuracies.",
        log=True,
    )


def _percent(real_images: int, accuracy: Accuracy) -> Point:
    return Point(real_images, 100 * accuracy.mean, 100 * accuracy.spread)
