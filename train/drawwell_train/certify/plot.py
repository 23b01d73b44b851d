"""``uplift.png``: the accuracy over the number of real images."""

import io

from drawwell_train.certify.certificate import Certificate


def uplift(certificate: Certificate) -> bytes:
    """Return a PNG with a line and its spread each for real only, drawn only, and real + drawn."""
    from matplotlib.figure import Figure  # not pyplot: it would look for a display

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes, rows = figure.subplots(), certificate.rows
    counts = [row.real_images for row in rows]
    lines = {
        "real only": [row.real for row in rows],
        "drawn only": [certificate.drawn for _ in rows],
        "real + drawn": [row.both for row in rows],
    }
    for label, points in lines.items():
        means, spreads = ([100 * getattr(one, name) for one in points] for name in ("mean", "spread"))
        axes.errorbar(counts, means, spreads, marker="o", capsize=3, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("real images")
    axes.set_ylabel(f"accuracy on {certificate.test_images:,} test images (%)")
    axes.set_title(f"mean ± standard deviation over {certificate.options.seeds} classifiers", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()
