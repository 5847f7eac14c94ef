"""How large elements should be: a default from the part, and what a mesh has.

Units cancel: sizes come back in the unit of the lengths that went in.
"""

import numpy as np

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh

# Points of a ten-node mesh of size h: about 9.5 a cube of h in the volume plus 2.3 a square of h on the surface
# (equilateral tetrahedra have 8 points a vertex, 1.2 vertices a cube; measured within 40 % on a dozen parts).
_POINTS_PER_VOLUME = 9.5
_POINTS_PER_AREA = 2.3
TARGET_POINTS = 5000
THIN_WALL_POINTS = 7000
MOST_DEFAULT_POINTS = 20_000


def default_element_size(volume: float, area: float) -> float:
    """Element size for about `TARGET_POINTS` points, finer where the part is thin.

    A plate of thickness t has 2 V / A close to t, so a largest edge of two thirds of that puts about two elements,
    whose edges are shorter, through its walls; what they may cost is bounded by `THIN_WALL_POINTS`.

    Args:
        volume: of the part.
        area: of its surface.
    """
    thin = 4 / 3 * volume / area
    return min(_size_for(TARGET_POINTS, volume, area), max(thin, _size_for(THIN_WALL_POINTS, volume, area)))


def expected_points(size: float, volume: float, area: float) -> float:
    """Estimated number of points of a mesh."""
    return _POINTS_PER_VOLUME * volume / size**3 + _POINTS_PER_AREA * area / size**2


def corrected_size(size: float, points: int) -> float | None:
    """A better default size after one that gave so many points, or None where it was good.

    Curvature refinement and small features make meshes larger than estimated, which is worth it up to a limit: holes
    and fillets lose volume when coarse.
    """
    if points > 0.8 * MOST_DEFAULT_POINTS:
        return size * min((points / 12_000) ** 0.5, 2.0)
    if points < 0.7 * TARGET_POINTS:
        return size * max((points / TARGET_POINTS) ** 0.4, 0.5)
    return None


def _size_for(points: int, volume: float, area: float) -> float:
    """Size at which the estimate reaches a number of points (bisection in the logarithm)."""
    low, high = 1e-4 * volume / area, 1e4 * volume / area
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if expected_points(middle, volume, area) > points else (low, middle)
    return high


def element_size(mesh: TetMesh) -> float:
    """Median edge length of a mesh's cells, m: the element size that it has, to report."""
    corners: FloatArray = mesh.points[mesh.cells[:, :4]]
    edges = np.array(TET_EDGES)
    lengths = np.linalg.norm(corners[:, edges[:, 0]] - corners[:, edges[:, 1]], axis=2)
    return float(np.median(lengths))
