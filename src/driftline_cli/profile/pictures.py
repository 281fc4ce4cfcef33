"""Pictures of profiles: a panel for each feature, of one profile or of two laid over each other."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from driftline_cli.profile.describe import Described, binned
from driftline_stats.drift.bins import BinKind

T = TypeVar("T")

_INK, _QUIET, _LINE = "#0f172a", "#64748b", "#cbd5e1"
_COLOURS: Final = ("#0f766e", "#b45309")
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "driftline",  # else identifiers are random
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "text.color": _INK,
    "text.parse_math": False,  # names may hold dollars
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
}
_ACROSS: Final = 3
#: Panels of one PNG: it would be too tall to be looked at.
MOST_PANELS: Final = 60
_MOST_LEVELS: Final = 12
_LONGEST_NAME: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One feature, in each profile.

    Attributes:
        title: of the panel.
        sides: in one profile or in two; of the same kind.
        names: what the profiles are called.
    """

    title: str
    sides: tuple[Described, ...]
    names: tuple[str, ...]


def png(panels: Sequence[Panel], path: Path) -> None:
    """Write the first panels as one picture.

    Raises:
        OSError: it cannot be written.
    """
    shown = panels[:MOST_PANELS]
    down = max(1, -(-len(shown) // _ACROSS))

    def drawn() -> None:
        figure = Figure(figsize=(12, 2.6 * down), layout="constrained")
        axes = figure.subplots(down, _ACROSS, squeeze=False).ravel()
        for axis, panel in zip(axes, shown, strict=False):
            _draw(axis, panel)
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        figure.savefig(path, format="png", dpi=110)

    _styled(drawn)


def svg(panel: Panel) -> str:
    """Return one panel as SVG; the same for the same panel."""

    def drawn() -> str:
        figure = Figure(figsize=(4, 2.4), layout="constrained")
        _draw(figure.subplots(), panel)
        written = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
        text = written.getvalue()
        return text[text.index("<svg") :]

    return _styled(drawn)


def _styled(draw: Callable[[], T]) -> T:
    with mpl.rc_context(_SETTINGS):
        return draw()


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set_title(_short(panel.title))
    axes.set_yticks([])
    if panel.sides[0].kind == "numeric":
        _numbers(axes, panel)
    else:
        _levels(axes, panel)
    if len(panel.sides) > 1:
        axes.legend(fontsize=7, frameon=False)


def _numbers(axes: Axes, panel: Panel) -> None:
    """Draw densities between the 0.5 % and the 99.5 % quantile, and heavy values as lines."""
    lowest, highest = np.inf, -np.inf
    for side, name, colour in zip(panel.sides, panel.names, _COLOURS, strict=False):
        values = binned(side.channel)
        if values is None:
            continue
        lowest, highest = min(lowest, values.quantile(0.005)), max(highest, values.quantile(0.995))
        edges, densities, heavy = _density(side)
        if densities.size:
            axes.stairs(densities, edges, fill=True, color=colour, alpha=0.35, label=name)
        top = float(densities.max(initial=0)) or 1.0
        for value, part in heavy:
            axes.plot([value, value], [0, top * max(part, 0.02)], color=colour, linewidth=3)
    if np.isfinite(lowest):
        room = 0.03 * (highest - lowest) or 0.5
        axes.set_xlim(lowest - room, highest + room)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        axes.set_xlabel("no values")


def _density(
    side: Described,
) -> tuple[
    "np.ndarray[Any, np.dtype[np.float64]]",
    "np.ndarray[Any, np.dtype[np.float64]]",
    list[tuple[float, float]],
]:
    """Return edges and densities of the intervals, and heavy values with their shares."""
    channel = side.channel
    runs = [at for at, kind in enumerate(channel.bins) if kind in _RUNS]
    shares = channel.reference[runs] / max(int(channel.reference.sum()), 1)
    widths = np.diff(channel.edges)
    is_heavy = np.array([channel.bins[at] is BinKind.VALUE for at in runs], bool)
    wide = ~is_heavy & (widths > 0)
    densities = np.divide(shares, widths, out=np.zeros(len(runs)), where=wide)
    heavy = [(float(channel.edges[at]), float(shares[at])) for at in np.flatnonzero(is_heavy)]
    return channel.edges, densities, heavy


_RUNS: Final = (BinKind.INTERVAL, BinKind.VALUE)


def _levels(axes: Axes, panel: Panel) -> None:
    shares = [_shares(side) for side in panel.sides]
    names = list(dict.fromkeys(name for each in shares for name in each))
    names = sorted(names, key=lambda name: -max(each.get(name, 0) for each in shares))
    names = names[:_MOST_LEVELS]
    places = np.arange(len(names))
    height = 0.8 / len(shares)
    for at, (each, name) in enumerate(zip(shares, panel.names, strict=True)):
        widths = [100 * each.get(level, 0) for level in names]
        axes.barh(places + at * height, widths, height, color=_COLOURS[at], alpha=0.6, label=name)
    axes.set_yticks(places + 0.4 - height / 2, [_short(name) for name in names], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("% of rows")


def _shares(side: Described) -> dict[str, float]:
    more = {"(missing)": side.missing, "(other)": side.odd}
    return dict(side.heavy) | {name: part for name, part in more.items() if part}


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
