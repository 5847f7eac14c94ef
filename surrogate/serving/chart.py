"""Line charts over the steps of a history as inline SVG, without a library and without colour names from a theme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 30, 36
_COLOURS = ("#2f6db5", "#d1495b", "#4f9d5d", "#e08e2b", "#8358a8", "#12848f")
MAX_LINES = 6


@dataclass(frozen=True)
class Line:
    """Values over the steps, with the ends of their interval where predicted."""

    label: str
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False


def line_chart(title: str, lines: Sequence[Line], *, limits: Sequence[tuple[str, float]] = ()) -> Markup:
    """A chart of some lines over the step number.

    Args:
        title: quantity and unit.
        lines: up to `MAX_LINES`, the further ones are left out.
        limits: labelled horizontal lines, drawn where they are within reach of the data.
    """
    shown = list(lines)[:MAX_LINES]
    data = [v for line in shown for values in (line.values, line.low or (), line.high or ()) for v in values]
    top, bottom = max([*data, 0.0]), min([*data, 0.0])
    near = [(label, value) for label, value in limits if bottom <= value <= 1.6 * top]
    top = max([top, *(value for _, value in near)])
    ticks = _ticks(bottom, top if top > bottom else bottom + 1.0)
    low, high = min(ticks[0], bottom), max(ticks[-1], top)
    count = max((len(line.values) for line in shown), default=1)

    def x(step: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (0.5 if count == 1 else step / (count - 1))

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = [f'<text x="{_LEFT}" y="16" class="chart-title">{escape(title)}</text>']
    for tick in ticks:
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for step in _step_labels(count):
        parts.append(f'<text x="{x(step):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{step + 1}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">step</text>')
    for label, value in near:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="limit"/>'
        )
        parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{y(value) - 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for number, line in enumerate(shown):
        colour = _COLOURS[number % len(_COLOURS)]
        if line.low is not None and line.high is not None:
            outline = [(x(i), y(v)) for i, v in enumerate(line.high)]
            outline += [(x(i), y(v)) for i, v in reversed(list(enumerate(line.low)))]
            parts.append(f'<polygon points="{_path(outline)}" fill="{colour}" fill-opacity="0.18"/>')
        points = [(x(i), y(v)) for i, v in enumerate(line.values)]
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(f'<polyline points="{_path(points)}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if count <= 40:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{colour}"/>' for a, b in points]
    parts += _legend(shown)
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" class="chart">'
        f"{''.join(parts)}</svg>"
    )


def _legend(lines: Sequence[Line]) -> list[str]:
    if len(lines) < 2:
        return []
    parts, place = [], float(_WIDTH - _RIGHT)
    for number, line in reversed(list(enumerate(lines))):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(
            f'<text x="{place}" y="16" text-anchor="end" style="fill:{colour}">{escape(line.label[:24])}</text>'
        )
        place -= 6.4 * min(len(line.label), 24) + 14
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that span the range."""
    raw = (high - low) / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    return [step * i for i in range(first, math.ceil(high / step - 1e-9) + 1)]


def _step_labels(count: int) -> range:
    return range(0, count, max(1, math.ceil(count / 12)))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
