"""Lines on a page: one small SVG, no library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 50, 60
COLOURS = ("#0b63b0", "#c2410c", "#15803d", "#7c3aed", "#a16207", "#be185d", "#475569")
DASHES = ("", "6 3", "2 3", "9 3 2 3")
TICKS = 5
LABEL_HEIGHT = 15.0


@dataclass(frozen=True, slots=True)
class Plot:
    """`lines` by name, points of each in the order of x. `band` is shaded: (low, high)
    on the y axis, for what still counts as flat.
    """

    title: str
    x_label: str
    y_label: str
    lines: dict[str, list[tuple[float, float]]]
    log_x: bool = False
    band: tuple[float, float] | None = None


def svg(plot: Plot) -> str:
    """A whole document; needs at least one point."""
    xs = sorted({x for line in plot.lines.values() for x, _ in line})
    ys = [y for line in plot.lines.values() for _, y in line] + list(plot.band or ())
    x_at = _scale(xs[0], xs[-1], (LEFT, WIDTH - RIGHT), log=plot.log_x)
    y_ticks = _ticks(max(ys))
    y_at = _scale(0.0, y_ticks[-1], (HEIGHT - BOTTOM, TOP), log=False)
    x_ticks = xs if plot.log_x else [x for x in _ticks(xs[-1]) if xs[0] <= x <= xs[-1]]
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="13" fill="#1f2937" role="img" '
            f'aria-label="{escape(plot.title)}">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 28, plot.title, size=16, weight="bold"),
    ]
    if plot.band:
        low, high = (y_at(y) for y in plot.band)
        parts.append(
            f'<rect x="{LEFT}" y="{high:.1f}" width="{WIDTH - RIGHT - LEFT}" '
            f'height="{low - high:.1f}" fill="#e5e7eb"/>'
        )
    parts += _axes(
        plot, [(x, x_at(x)) for x in x_ticks], [(y, y_at(y)) for y in y_ticks]
    )
    parts += _lines(plot, x_at, y_at)
    return "\n".join([*parts, "</svg>", ""])


def _axes(
    plot: Plot,
    x_ticks: Sequence[tuple[float, float]],
    y_ticks: Sequence[tuple[float, float]],
) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value, y in y_ticks:
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#9ca3af" stroke-width="0.6"/>'
        )
        parts.append(_text(LEFT - 8, y + 4, f"{value:,g}", anchor="end"))
    for value, x in x_ticks:
        parts.append(f'<path d="M{x:.1f} {bottom}v5" stroke="#1f2937"/>')
        parts.append(_text(x, bottom + 20, f"{value:,.10g}", anchor="middle"))
    parts.append(
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#1f2937"/>'
    )
    middle = (LEFT + right) / 2
    parts.append(_text(middle, HEIGHT - 16, plot.x_label, anchor="middle"))
    y = (TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(18 {y:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(plot.y_label)}</text>"
    )
    return parts


def _lines(
    plot: Plot, x_at: Callable[[float], float], y_at: Callable[[float], float]
) -> list[str]:
    parts = []
    ends = []
    for number, (name, points) in enumerate(plot.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        placed = [(x_at(x), y_at(y)) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        if len(placed) <= TICKS:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
                for x, y in placed
            ]
        ends.append((placed[-1][1], name, colour))
    lowest = -math.inf
    for y, name, colour in sorted(ends):  # names at the ends, none over another
        lowest = max(y, lowest + LABEL_HEIGHT)
        parts.append(_text(WIDTH - RIGHT + 8, lowest + 4, name, fill=colour))
    return parts


def _scale(
    low: float, high: float, pixels: tuple[float, float], *, log: bool
) -> Callable[[float], float]:
    shape = math.log10 if log else float
    start, end = shape(low), shape(high)
    first, last = pixels
    span = (end - start) or 1.0
    return lambda value: first + (shape(value) - start) / span * (last - first)


def _ticks(high: float) -> list[float]:
    """From 0 to at least `high`, in round steps."""
    rough = max(high, 1e-9) / TICKS
    unit = 10 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= rough)
    return [n * step for n in range(math.ceil(high / step - 1e-9) + 1)]


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: int = 13,
    weight: str = "normal",
    fill: str = "#1f2937",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{fill}">{escape(text)}</text>'
    )
