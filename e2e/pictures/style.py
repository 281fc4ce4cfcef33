"""How a picture looks: ground, colours and type of the drawn ones, as SVG that never changes."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"

INK, QUIET, LINE = "#0f172a", "#64748b", "#cbd5e1"
TEAL, INDIGO, AMBER, GREEN, RED = "#0f766e", "#4338ca", "#b45309", "#15803d", "#b91c1c"
GROUND: Final = "#f8fafc"

_SETTINGS: Final[Any] = {
    "figure.constrained_layout.h_pad": 0.15,
    "figure.constrained_layout.w_pad": 0.15,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "driftline",  # else identifiers are random
    "path.simplify_threshold": 0.5,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "lines.linewidth": 1.6,
}
_FONTS: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def panels(count: int, height: float = 3.1) -> tuple[Figure, list[Axes]]:
    """Return a picture of panels side by side, nine inches wide."""
    figure = Figure(figsize=(9, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def styled(draw: Callable[[], str]) -> str:
    """Return a picture as it is drawn with the settings of this module."""
    with mpl.rc_context(_SETTINGS):
        return draw()


def svg(figure: Figure, title: str, description: str) -> str:
    """Return a picture as text: the same for the same figure, with its own light ground.

    Args:
        figure: what is drawn.
        title: what it is, for those who do not see it.
        description: what it shows, for the same.
    """
    written = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(written, format="svg", transparent=True, metadata=metadata)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*", f"font-family: {_FONTS}", text)
    text = re.sub(r"font: (\w+ )?([\d.]+px) [^;\"]*", rf"font: \1\2 {_FONTS}", text)
    text = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
    labels = f'<title id="t">{title}</title>\n <desc id="d">{description}</desc>'
    ground = f'<rect width="100%" height="100%" rx="10" fill="{GROUND}"/>'
    opening = re.match(r"<svg[^>]*>", text)
    assert opening
    head = opening[0].replace("<svg", '<svg role="img" aria-labelledby="t d"', 1)
    lines = (head + f"\n {labels}\n {ground}" + text[opening.end() :]).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def note(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    """Write beside a curve what it is."""
    axes.annotate(text, (x, y), color=color, fontweight="bold")


def ticks(axes: Axes, values: Sequence[float]) -> None:
    """Put ticks at these values of the vertical axis, which ends at the first and the last."""
    axes.yaxis.set_major_locator(FixedLocator(list(values)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylim(min(values), max(values))


def powers(axes: Axes, values: Sequence[float]) -> None:
    """Do so on a logarithmic axis."""
    axes.set_yscale("log")
    ticks(axes, values)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))


def _power(value: float) -> str:
    """Return a number as a reader of a logarithmic axis likes it.

    >>> _power(20), _power(0.0001), _power(100000)
    ('20', '0.0001', '100,000')
    """
    return f"{value:,.6f}".rstrip("0").rstrip(".")
