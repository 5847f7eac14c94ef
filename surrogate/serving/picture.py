"""What is drawn: pictures of panels, handed to the drawing process as arrays and JSON. No VTK here.

Shape letters: P surface points, F linear surface triangles, L line segments, A arrows.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surrogate.geometry.tet_mesh import Vector

Colour = str


@dataclass(frozen=True)
class Marker:
    """A labelled point."""

    at: Vector
    label: str


@dataclass(frozen=True)
class Panel:
    """One view of the surface.

    Attributes:
        title: first line.
        caption: further lines.
        scalars: name of a point array [P] to colour by, or None.
        bar_title: quantity and unit.
        low, high: ends of the colour scale.
        colours: colour map.
        displacement: name of a point array [P, 3], m, or None.
        scale: factor on the displacement.
        marker: a labelled point, already displaced.
        tint: name of a triangle array of colours [F, 3], uint8, or None.
        arrows: whether to draw the arrows.
        mesh_lines: whether to draw the element edges.
        legend: lines of text with their colour.
        from_above: whether to look from above even where the point to look at is best seen from below.
        opposite: whether to look from the opposite side instead.
    """

    title: str
    caption: str = ""
    scalars: str | None = None
    bar_title: str = ""
    low: float = 0.0
    high: float = 1.0
    colours: str = "turbo"
    displacement: str | None = None
    scale: float = 1.0
    marker: Marker | None = None
    tint: str | None = None
    arrows: bool = False
    mesh_lines: bool = False
    legend: tuple[tuple[str, Colour], ...] = ()
    from_above: bool = False
    opposite: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG file of panels side by side."""

    file: str
    panels: tuple[Panel, ...]
    width: int = 1280
    height: int = 900


@dataclass(frozen=True)
class Order:
    """All pictures of one call; they share the surface and the view.

    Attributes:
        pictures: what to draw.
        look_at: the point that must be visible, m.
    """

    pictures: tuple[Picture, ...]
    look_at: Vector


def save_order(path: Path, order: Order, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the order and its arrays: points [P, 3], triangles [F, 3], edges [L, 2], element_edges [M, 2], arrow_starts
    and arrow_vectors [A, 3], arrow_colours [A, 3], arrow_on_top [A] and what the panels name."""
    text = np.frombuffer(json.dumps(asdict(order)).encode(), np.uint8)
    np.savez(path, order=text, **arrays)  # type: ignore[arg-type]


def load_order(path: Path) -> tuple[Order, dict[str, NDArray[np.generic]]]:
    """Read what `save_order` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    raw = json.loads(arrays.pop("order").tobytes())
    pictures = tuple(
        Picture(entry["file"], tuple(_panel(panel) for panel in entry["panels"]), entry["width"], entry["height"])
        for entry in raw["pictures"]
    )
    return Order(pictures, tuple(raw["look_at"])), arrays


def _panel(raw: dict[str, object]) -> Panel:
    marker, legend = raw.pop("marker"), raw.pop("legend")
    assert isinstance(legend, list)
    return Panel(
        **raw,  # type: ignore[arg-type]
        marker=Marker(tuple(marker["at"]), marker["label"]) if isinstance(marker, dict) else None,
        legend=tuple((text, colour) for text, colour in legend),
    )
