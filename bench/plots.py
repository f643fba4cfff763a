"""A workload's plot as SVG: a row a server, and beside each other its rate, its processor time and its latency."""

import math
from collections.abc import Callable
from html import escape

from bench.report import Run, whole

_MARGIN, _LABELS, _PANEL, _GAP, _ROW, _HEAD = 8, 150, 250, 30, 20, 46
_WIDTH = _LABELS + 3 * (_PANEL + _GAP)
_OURS, _THEIRS, _INK = "#1f6fb2", "#9aa5b1", "#22272e"
_PARTS = (
    ("server_us", "server", "#1f6fb2"),
    ("postgres_us", "PostgreSQL", "#d9822b"),
    ("redis_us", "Redis", "#b3372f"),
)
_SHARES = (("p50", 3.0), ("p95", 4.0), ("p99", 5.0))  # with the radius of their dots
_ROOM = 0.78  # of a panel, for its longest bar; the rest is for the figure beside it

Scale = Callable[[float], float]


def draw(run: Run, workload: str) -> str:
    """One figure of the page, for a light ground."""
    figures = [figure for figure in run["results"] if figure["workload"] == workload]
    middles = [figure["median"] for figure in figures]
    rate_of = _linear(max(result["rate"] for figure in figures for result in figure["rounds"]))
    cost_of = _linear(max(_cost(middle) for middle in middles))
    latency_of = _logarithmic(min(m["p50"] for m in middles), max(m["p99"] for m in middles))
    panels = [_LABELS + number * (_PANEL + _GAP) for number in range(3)]
    out, y, last = [], _HEAD, None
    for figure in figures:
        if figure["connections"] != last:
            last = figure["connections"]
            out.append(_text(_MARGIN, y + 15, f"{last} connection{'s' if last > 1 else ''}", bold=True))
            y += _ROW
        out.append(_text(_LABELS - 8, y + 14, figure["server title"], anchor="end"))
        out += _rate(figure, panels[0], y, rate_of)
        out += _processor(figure["median"], panels[1], y, cost_of)
        out += _latency(figure["median"], panels[2], y, latency_of)
        y += _ROW
    heads = [
        "requests/s, slowest to fastest round",
        "processor time a request, µs",
        "p50 · p95 · p99, ms (logarithmic)",
    ]
    out += [_text(x, 20, head, bold=True) for x, head in zip(panels, heads, strict=True)]
    out += _legend(panels[1])
    name = escape(f"{workload} {figures[0]['title']}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{name}" viewBox="0 0 {_WIDTH} {y + 8}" '
        f'width="{_WIDTH}" height="{y + 8}" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">\n'
        f'<title>{name}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(out) + "\n</svg>\n"
    )


def _rate(figure: Run, x: float, y: float, scale: Scale) -> list[str]:
    rates = [result["rate"] for result in figure["rounds"]]
    rate, low, high = figure["median"]["rate"], scale(min(rates)), scale(max(rates))
    colour = _OURS if figure["server"].startswith("heitto") else _THEIRS
    return [
        _bar(x, y, scale(rate), colour),
        _line(x + low, y + 10, x + high, y + 10),
        _text(x + high + 6, y + 14, f"{rate:,.0f}"),
    ]


def _processor(middle: Run, x: float, y: float, scale: Scale) -> list[str]:
    out, at = [], 0.0
    for name, _, colour in _PARTS:
        out.append(_bar(x + at, y, scale(middle[name] or 0), colour))
        at += scale(middle[name] or 0)
    return [*out, _text(x + at + 6, y + 14, whole(_cost(middle)))]


def _latency(middle: Run, x: float, y: float, scale: Scale) -> list[str]:
    places = [x + scale(middle[name]) for name, _ in _SHARES]
    dots = [
        f'<circle cx="{place:.1f}" cy="{y + 10}" r="{radius / 1.4:.1f}"/>'
        for place, (_, radius) in zip(places, _SHARES, strict=True)
    ]
    return [_line(places[0], y + 10, places[-1], y + 10), *dots, _text(places[-1] + 8, y + 14, f"{middle['p99']:,.1f}")]


def _legend(x: float) -> list[str]:
    out, at = [], x
    for _, title, colour in _PARTS:
        out.append(f'<text x="{at}" y="38" fill="{colour}">{title}</text>')
        at += 7 * len(title) + 12
    return out


def _cost(middle: Run) -> float:
    return sum(middle[name] or 0 for name, _, _ in _PARTS)


def _linear(most: float) -> Scale:
    return lambda value: value / (most or 1) * _PANEL * _ROOM


def _logarithmic(least: float, most: float) -> Scale:
    low, high = math.log(max(least, 0.01)), math.log(max(most, 0.02))
    return lambda value: (math.log(max(value, 0.01)) - low) / ((high - low) or 1) * _PANEL * _ROOM


def _bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="14" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke="{_INK}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
