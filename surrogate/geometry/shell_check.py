"""Shells and beams are refused by name; surface cells that only mirror the boundary of the solids are not shells."""

from collections.abc import Sequence

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import IntArray
from surrogate.geometry.cell_conversion import CELL_SIDES, CORNERS


def refuse_loose_facets(blocks: Sequence[tuple[str, IntArray]], facets: Sequence[IntArray], lines: int) -> None:
    """Refuse surface cells that are no side of a volume cell.

    Args:
        blocks: volume cells by kind.
        facets: triangles and quadrilaterals by their corners [F, 3 or 4].
        lines: number of line cells, for the message.

    Raises:
        GeometryError: there are shells, or nothing but shells and beams.
    """
    number = sum(len(group) for group in facets)
    if not any(len(block) for _, block in blocks):
        held = [f"{number} surface cells (shells)"] if number else []
        held += [f"{lines} line cells (beams)"] if lines else []
        text = " and ".join(held) or "no cells"
        raise GeometryError(f"it holds {text} but no volume cells; give a solid mesh, or a closed surface as STL")
    for width in (3, 4):
        group = [facet for facet in facets if facet.shape[1] == width]
        if not group:
            continue
        sides = [
            block[:, side]
            for kind, block in blocks
            for side in (s for s in CELL_SIDES[kind] if len(s) == width)
            if block.shape[1] >= CORNERS[kind]
        ]
        known = np.unique(np.sort(np.concatenate(sides), axis=1), axis=0) if sides else np.zeros((0, width), np.int32)
        wanted = np.unique(np.sort(np.concatenate(group), axis=1), axis=0)
        loose = len(np.unique(np.concatenate([known, wanted.astype(known.dtype)]), axis=0)) - len(known)
        if loose:
            shape = "triangles" if width == 3 else "quadrilaterals"
            raise GeometryError(f"it holds {loose} {shape} that are no side of a solid cell (shells); remove them")
