"""Meshes the current gmsh model so that the quadratic mesh has about a wanted number of points.

Only called inside the meshing subprocess.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.data.part_family import log_uniform
from surrogate.errors import GeometryError

# Corner pairs of mid-edge points 4..9 in gmsh's own order.
GMSH_EDGES = ((0, 1), (1, 2), (2, 0), (3, 0), (2, 3), (1, 3))
LEAST_JACOBIAN_RATIO = 0.15
STRAIGHTENING_PASSES = 12


@dataclass(frozen=True)
class MeshTarget:
    """How fine a family's part is meshed.

    Attributes:
        fewest: of the points drawn for a sample's ten-node mesh.
        most: of the points drawn.
        tolerance: relative miss that is accepted without meshing again.
        around_circle: elements around a full circle of a hole or fillet at size factor one.
        finest_share: smallest element over the plain element, at holes and fillets.
        attempts: meshes tried for one part.
        coarsening: element size of a part's coarse mesh over that of its fine one.
        coarse_around_circle: elements around a full circle of the coarse mesh; fewer do not bound the hole any more.
    """

    fewest: int = 2700
    most: int = 5600
    tolerance: float = 0.12
    around_circle: int = 14
    finest_share: float = 0.3
    attempts: int = 6
    coarsening: float = 3.0
    coarse_around_circle: int = 4


def mesh_to_target(thickness: float, generator: np.random.Generator, target: MeshTarget) -> float:
    """Meshes with ten-node tetrahedra, refined at holes and fillets; returns the size factor that was found.

    Args:
        thickness: wall thickness, m; the plain element at size factor one.
        generator: draws the wanted point count, small counts as likely as large by factor.
        target: the range to draw from.

    Raises:
        GeometryError: no mesh, or the count is far out of the range after all attempts.
    """
    wanted = log_uniform(generator, target.fewest, target.most)
    factor = _first_factor(thickness, wanted)
    # Between the plate law (count ~ size^-2) and the bulk law (size^-3); holes and fillets flatten it.
    exponent, last = 0.4, (0.0, 0.0)
    for _ in range(target.attempts):
        # gmsh multiplies the size at holes by the factor too; a part of many holes needs fewer elements round each.
        _generate(thickness, factor, target.around_circle / max(1.0, factor / 2), target)
        count = quadratic_point_count()
        if abs(count / wanted - 1) < target.tolerance:
            break
        if last[0] and count != last[1]:
            exponent = float(np.clip(-np.log(factor / last[0]) / np.log(count / last[1]), 0.25, 1.0))
        last = factor, float(count)
        factor *= float(np.clip((count / wanted) ** exponent, 0.4, 2.5))
    if not 0.7 * target.fewest < count < 1.2 * target.most:
        raise GeometryError(f"{count} points instead of {wanted:.0f} after {target.attempts} meshes; draw again")
    _make_quadratic()
    return last[0] if last[1] == count else factor


def mesh_coarser(thickness: float, factor: float, target: MeshTarget) -> None:
    """Meshes the same solid again with elements `coarsening` times as large as at a size factor.

    Raises:
        GeometryError: no mesh, or a folded cell.
    """
    import gmsh

    around = max(target.coarse_around_circle, target.around_circle / max(1.0, factor / 2) / target.coarsening)
    # gmsh's least counts (3 points a curve, 7 a circle) keep small fillets fine; with fewer, surfaces may cross.
    for curve_points, circle_points in ((2, 5), (3, 7)):
        gmsh.option.setNumber("Mesh.MinimumCurveNodes", curve_points)
        gmsh.option.setNumber("Mesh.MinimumCircleNodes", circle_points)
        try:
            _generate(thickness, factor * target.coarsening, around, target)
            _make_quadratic()
        except GeometryError:
            if circle_points == 7:
                raise
        else:
            return


# Points of a ten-node mesh over area / size^2, the median of the families' parts.
_POINTS_A_SQUARE = 55.0


def _first_factor(thickness: float, wanted: float) -> float:
    """Size factor that gives about the wanted points, guessed from the area of the solid."""
    import gmsh

    area = sum(gmsh.model.occ.getMass(2, tag) for _, tag in gmsh.model.getEntities(2))
    return float(np.clip((_POINTS_A_SQUARE * area / wanted) ** 0.5 / thickness, 0.7, 4.0))


def _generate(thickness: float, factor: float, around_circle: float, target: MeshTarget) -> None:
    """Meshes with four-node tetrahedra.

    Raises:
        GeometryError: gmsh cannot mesh the solid with this element size.
    """
    import gmsh

    settings = {
        "Mesh.Algorithm": 6, "Mesh.Algorithm3D": 1, "Mesh.RandomSeed": 1, "General.NumThreads": 1,
        "Mesh.MeshSizeMax": thickness, "Mesh.MeshSizeMin": thickness * target.finest_share,
        "Mesh.MeshSizeExtendFromBoundary": 1, "Mesh.MeshSizeFactor": factor,
        "Mesh.MeshSizeFromCurvature": around_circle,
    }  # fmt: skip
    for name, value in settings.items():
        gmsh.option.setNumber(name, value)
    gmsh.model.mesh.clear()
    try:
        gmsh.model.mesh.generate(3)
    except Exception as error:  # gmsh raises nothing narrower
        raise GeometryError(f"gmsh: {error}; draw again") from error


def quadratic_point_count() -> int:
    """Points that the current four-node mesh will have as a ten-node mesh: corners and edges."""
    import gmsh

    _, corners = gmsh.model.mesh.getElementsByType(4)
    cells = np.asarray(corners, dtype=np.int64).reshape(-1, 4)
    if len(cells) == 0:
        raise GeometryError("gmsh made no tetrahedra; draw again")
    pairs = np.sort(cells[:, [0, 1, 1, 2, 2, 0, 0, 3, 1, 3, 2, 3]].reshape(-1, 2), axis=1)
    return len(np.unique(cells)) + len(np.unique(pairs[:, 0] * (cells.max() + 1) + pairs[:, 1]))


def _make_quadratic() -> None:
    """Adds mid-edge points on the true surface, and straightens the edges of cells that a curved side folds.

    gmsh's own high-order optimisers took up to minutes on parts with coarse fillets.

    Raises:
        GeometryError: a cell stays folded.
    """
    import gmsh

    gmsh.model.mesh.setOrder(2)
    tags, nodes = gmsh.model.mesh.getElementsByType(11)
    cells = np.asarray(nodes).reshape(-1, 10)
    for _ in range(STRAIGHTENING_PASSES):
        smallest = np.asarray(gmsh.model.mesh.getElementQualities(tags, "minDetJac"))
        largest = np.asarray(gmsh.model.mesh.getElementQualities(tags, "maxDetJac"))
        folded = np.flatnonzero(smallest < LEAST_JACOBIAN_RATIO * largest)
        if not folded.size:
            return
        for cell in cells[folded]:
            for middle, (start, end) in zip(cell[4:], GMSH_EDGES, strict=True):
                ends = [gmsh.model.mesh.getNode(cell[corner])[0] for corner in (start, end)]
                gmsh.model.mesh.setNode(middle, (ends[0] + ends[1]) / 2, [])
    raise GeometryError("cells stay folded after their edges were straightened; draw again")
