"""Numbers and times in words."""

from datetime import timedelta


def number(value: float) -> str:
    """Three digits, or all before the point: 0.634, 12.3, 31,400."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def compact(value: float) -> str:
    """A number at an axis: 500, 10k, 2.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds, or a dash."""
    return "-" if seconds is None else str(timedelta(seconds=round(min(seconds, 1e9))))
