"""A profile as one HTML file: no script, nothing from elsewhere."""

from collections.abc import Sequence
from html import escape
from string import Template
from typing import Final

from driftline_cli.profile.describe import QUANTILES, Described
from driftline_cli.profile.pictures import Panel, svg
from driftline_cli.profile.tables import number, share

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #0f172a; background: #f8fafc; margin: 2em auto;
       max-width: 1280px; padding: 0 1em; }
h1 { font-size: 1.4em; }
pre { color: #475569; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(380px, 1fr)); gap: 1em; }
section { background: white; border: 1px solid #cbd5e1; border-radius: 8px; padding: .6em; }
section svg { width: 100%; height: auto; }
table { font-size: .85em; border-collapse: collapse; width: 100%; }
td, th { text-align: right; padding: 0 .4em; }
td:first-child, th:first-child { text-align: left; color: #475569; font-weight: normal; }
</style>
</head>
<body>
<h1>$title</h1>
<pre>$lines</pre>
<main>
$sections
</main>
</body>
</html>
""")


def page(title: str, lines: Sequence[str], panels: Sequence[Panel]) -> str:
    """Return a page with a picture and figures for each feature.

    Args:
        title: of the page.
        lines: what stands above the pictures.
        panels: in their order.
    """
    return _PAGE.substitute(
        title=escape(title),
        lines=escape("\n".join(lines)),
        sections="\n".join(_section(panel) for panel in panels),
    )


def _section(panel: Panel) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in panel.names)
    rows = [_row(name, values) for name, values in _figures(panel.sides)]
    table = f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"
    return f'<section aria-label="{escape(panel.title)}">{svg(panel)}{table}</section>'


def _row(name: str, values: Sequence[str]) -> str:
    return (
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{escape(each)}</td>' for each in values)}</tr>"
    )


def _figures(sides: Sequence[Described]) -> list[tuple[str, list[str]]]:
    rows = [
        ("rows", [f"{side.rows:,}" for side in sides]),
        ("missing", [share(side.missing) for side in sides]),
    ]
    if all(side.kind != "numeric" for side in sides):
        return [*rows, ("other", [share(side.odd) for side in sides])]
    for at, level in enumerate(QUANTILES):
        values = [number(side.quantiles[at] if side.quantiles else None) for side in sides]
        rows.append(("median" if level == 0.5 else f"{100 * level:g} %", values))
    return rows
