"""The picture of what was asked: the mesh, the supported faces and the loads as arrows.

Shape letters: F' boundary triangles, A arrows.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from surrogate.fields import FloatArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.bearing import bearing_holes
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    Moment,
    Pressure,
    Problem,
    RemoteForce,
    Traction,
)
from surrogate.physics.surface_rule import SurfacePoints, surface_points, weighted_middle
from surrogate.serving.picture import Panel, Picture

_PART, _SUPPORT = "#d5d9de", "#3b6fb6"
_CASES = ("#d1495b", "#e08e2b", "#4f9d5d", "#8358a8", "#12848f", "#9a6a3a")
_ARROWS_PER_LOAD = 9
_ARROW_LENGTH, _RESULTANT_LENGTH = 0.12, 0.3  # of the part's largest extent
_FARTHEST = 1.2  # of the part's largest extent, for the place of a remote force
_RING_ARROWS = 8
_LEGEND_LINES = 8


def setup_picture(problem: Problem) -> Picture:
    """Supports and loads seen from two sides; needs `setup_arrays`."""
    legend = [("supports", _SUPPORT)]
    legend += [(f"load case {case.name}", _colour(i)) for i, case in enumerate(problem.load_cases)][:_LEGEND_LINES]
    front = Panel(
        title=f"{problem.name}: supports and loads",
        caption=f"{len(problem.mesh.points)} points, {len(problem.mesh.cells)} ten-node tetrahedra",
        tint="setup_tint",
        arrows=True,
        mesh_lines=True,
        legend=tuple(legend),
        from_above=True,
    )
    back = replace(front, title="seen from behind and below", caption="", legend=(), opposite=True)
    return Picture("setup.png", (front, back), width=1600, height=800)


def setup_arrays(problem: Problem) -> dict[str, NDArray[np.generic]]:
    """Colours of the linear surface triangles and the arrows."""
    mesh = problem.mesh
    tint = np.tile(_rgb(_PART), (len(mesh.triangles), 1))
    starts, vectors, colours, on_top = [], [], [], []
    for number, case in enumerate(problem.load_cases):
        for load in case.loads:
            start, vector = _arrows(load, mesh)
            starts.append(start)
            vectors.append(vector)
            colours.append(np.tile(_rgb(_colour(number)), (len(start), 1)))
            # A resultant starts within a hole as often as not, and must be seen all the same.
            on_top.append(np.full(len(start), not isinstance(load, Pressure | Traction | Acceleration)))
            if not isinstance(load, Acceleration):
                tint[np.isin(mesh.triangle_face, select_faces(mesh, load.faces))] = _pale(_colour(number))
    for support in problem.supports:
        tint[np.isin(mesh.triangle_face, select_faces(mesh, support.faces))] = _rgb(_SUPPORT)
    return {
        "setup_tint": np.repeat(tint, 4, axis=0),
        "arrow_starts": np.concatenate(starts),
        "arrow_vectors": np.concatenate(vectors),
        "arrow_colours": np.concatenate(colours),
        "arrow_on_top": np.concatenate(on_top),
    }


def _arrows(load: Load, mesh: TetMesh) -> tuple[FloatArray, FloatArray]:
    """Starts and vectors [A, 3]; an arrow that pushes ends on the surface, one that pulls starts there.

    A total force is one arrow, as it would be drawn at a bolt, a moment is a ring of them around its axis; what acts on
    each area is many.
    """
    length = _ARROW_LENGTH * max(mesh.size)
    match load:
        case Acceleration():
            direction = _unit(np.asarray(load.acceleration_m_s2))
            centre = mesh.points.mean(axis=0)
            return (centre + 0.6 * max(mesh.size) * direction)[None], (2 * length * direction)[None]
        case Force():
            return _resultant_arrow(np.asarray(load.force_n), _surface(load, mesh), mesh)
        case BearingForce():
            middles = np.array([hole.middle for hole in bearing_holes(mesh, load)])
            return middles, np.tile(_resultant_vector(np.asarray(load.force_n), mesh), (len(middles), 1))
        case RemoteForce():
            return _remote_place(load, mesh)[None], _resultant_vector(np.asarray(load.force_n), mesh)[None]
        case Moment():
            surface = _surface(load, mesh)
            return _ring(weighted_middle(surface.places, surface.areas), np.asarray(load.moment_nm), length)
    return _area_arrows(load, mesh, length)


def _area_arrows(load: Pressure | Traction, mesh: TetMesh, length: float) -> tuple[FloatArray, FloatArray]:
    triangles = mesh.face_triangles(select_faces(mesh, load.faces))
    places = mesh.points[triangles[:, :3]].mean(axis=1)
    chosen = _spread_out(places, _ARROWS_PER_LOAD)
    normals = _unit(surface_points(mesh.points, triangles[chosen]).normals.sum(axis=1))
    if isinstance(load, Pressure):
        directions = -np.sign(load.pressure_pa) * normals
    else:
        directions = np.tile(_unit(np.asarray(load.traction_pa)), (len(chosen), 1))
    pushes = (directions * normals).sum(axis=1) < -1e-6
    starts = places[chosen] - np.where(pushes, length, 0.0)[:, None] * directions
    return starts, length * directions


def _resultant_arrow(force: FloatArray, surface: SurfacePoints, mesh: TetMesh) -> tuple[FloatArray, FloatArray]:
    centroid = weighted_middle(surface.places, surface.areas)
    vector = _resultant_vector(force, mesh)
    push = float(surface.normals.sum(axis=(0, 1)) @ vector)
    pushes = push < -1e-6 * float(surface.areas.sum() * np.linalg.norm(vector))
    return (centroid - vector if pushes else centroid)[None], vector[None]


def _resultant_vector(force: FloatArray, mesh: TetMesh) -> FloatArray:
    return _RESULTANT_LENGTH * max(mesh.size) * _unit(force)


def _remote_place(load: RemoteForce, mesh: TetMesh) -> FloatArray:
    """Where the force acts; from far away it is drawn nearer on the same line, or the part would be a speck."""
    surface = _surface(load, mesh)
    start = weighted_middle(surface.places, surface.areas)
    arm = np.asarray(load.point_m) - start
    reach = _FARTHEST * max(mesh.size)
    return np.asarray(start + arm * min(1.0, reach / max(float(np.linalg.norm(arm)), 1e-300)))


def _ring(centre: FloatArray, moment: FloatArray, radius: float) -> tuple[FloatArray, FloatArray]:
    """Arrows in a ring around the axis of a moment, by the right-hand rule."""
    axis = _unit(moment)
    first = _unit(np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))]))
    angle = np.linspace(0.0, 2 * np.pi, _RING_ARROWS + 1)[:, None]
    corners = centre + radius * (np.cos(angle) * first + np.sin(angle) * np.cross(axis, first))
    return corners[:-1], 0.9 * np.diff(corners, axis=0)


def _surface(load: Force | RemoteForce | Moment, mesh: TetMesh) -> SurfacePoints:
    return surface_points(mesh.points, mesh.face_triangles(select_faces(mesh, load.faces)))


def _spread_out(places: FloatArray, count: int) -> NDArray[np.intp]:
    """Indices of at most `count` places far from each other (farthest point sampling)."""
    chosen = [int(np.argmin(np.linalg.norm(places - places.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(count, len(places)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return np.array(chosen)


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300))


def _colour(number: int) -> str:
    return _CASES[number % len(_CASES)]


def _rgb(colour: str) -> NDArray[np.uint8]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)


def _pale(colour: str) -> NDArray[np.uint8]:
    return (0.5 * _rgb(colour) + 0.5 * 255).astype(np.uint8)
