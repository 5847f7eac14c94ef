"""Size and quality of a mesh, for the report and the command line. Shape letters: C cells, E edges."""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TET_EDGES, Face, TetMesh
from surrogate.physics.tet_element import gradients_and_volumes

POOR_QUALITY = 0.1


@dataclass(frozen=True)
class MeshQuality:
    """Size and shape of the cells.

    Attributes:
        edge_m: smallest, median and largest straight edge, m.
        smallest: mean-ratio quality of the worst cell; 1 is a regular tetrahedron, 0 a flat one.
        mean: mean quality.
        poor_cells: cells of a quality under `POOR_QUALITY`.
        jacobian_ratio: smallest over largest Jacobian determinant in the worst cell; 1 is straight-edged.
        volume_m3: of all cells, curved sides included.
    """

    edge_m: tuple[float, float, float]
    smallest: float
    mean: float
    poor_cells: int
    jacobian_ratio: float
    volume_m3: float


def mesh_quality(mesh: TetMesh) -> MeshQuality:
    """Size and quality of a mesh."""
    quality = cell_quality(mesh)
    corners = mesh.points[mesh.cells[:, :4]]
    edges = np.linalg.norm(np.stack([corners[:, a] - corners[:, b] for a, b in TET_EDGES], axis=1), axis=-1)
    _, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    low, middle, high = (float(np.quantile(edges, level)) for level in (0.0, 0.5, 1.0))
    return MeshQuality(
        edge_m=(low, middle, high),
        smallest=float(quality.min()),
        mean=float(quality.mean()),
        poor_cells=int((quality < POOR_QUALITY).sum()),
        jacobian_ratio=float((volumes.min(axis=1) / volumes.max(axis=1)).min()),
        volume_m3=float(volumes.sum()),
    )


def cell_quality(mesh: TetMesh) -> FloatArray:
    """Mean-ratio quality of the straight-edged cells [C], in 0..1: 12 (3 V)^(2/3) / sum of squared edges.

    Source: Liu and Joe, Relationship between tetrahedron shape measures, BIT 34 (1994), eq. 5.
    """
    corners = mesh.points[mesh.cells[:, :4]]
    volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6
    squared = sum(((corners[:, a] - corners[:, b]) ** 2).sum(axis=-1) for a, b in TET_EDGES)
    return np.asarray(12 * np.cbrt(3 * volume) ** 2 / squared)


def face_text(face: Face) -> str:
    """A face in words, lengths in mm."""
    if face.kind == "cylinder" and face.radius is not None:
        kind = {True: "hole", False: "boss", None: "cylinder"}[face.hole]
        text = f"{kind} of radius {1e3 * face.radius:.4g} mm along {_direction(face.axis)}"
    elif face.kind == "plane":
        text = f"plane facing {_direction(face.normal)}"
    else:
        text = "free-form face"
    return f"face {face.id}{f' {face.name!r}' if face.name else ''}: {text}"


def _direction(vector: tuple[float, float, float] | None) -> str:
    return "any direction" if vector is None else "(" + ", ".join(f"{x:.3g}" for x in np.round(vector, 4) + 0.0) + ")"
