"""Names of faces in a STEP file, which gmsh does not pass on: read from the text, matched by their corner vertices.

Imports gmsh: only for isolated children.
"""

import re
from dataclasses import dataclass

import gmsh
import numpy as np

from surrogate.fields import FloatArray

_MEANINGLESS = re.compile(r"|none|face\W*\d*|advanced_face|unnamed|\$|Open CASCADE.*", re.IGNORECASE)
# gmsh's name of a surface type for STEP's; all others are alike.
_KINDS = {
    "PLANE": "Plane", "CYLINDRICAL_SURFACE": "Cylinder", "CONICAL_SURFACE": "Cone", "SPHERICAL_SURFACE": "Sphere",
    "TOROIDAL_SURFACE": "Torus",
}  # fmt: skip
_ENTITY = re.compile(r"#(\d+)\s*=\s*([A-Z0-9_]+)\s*\(((?:'(?:[^']|'')*'|[^;'])*)\)\s*;")
_SAME_PLACE = 1e-4


@dataclass(frozen=True)
class _NamedFace:
    """A face of the file: its name, type of surface, and corner vertices in the unit of the file [V, 3]."""

    name: str
    kind: str
    vertices: FloatArray


def name_surfaces(text: str, millimetres_per_unit: float) -> None:
    """Give the surfaces of the current gmsh model, which is in millimetres, the names of their faces in the file.

    Args:
        text: the STEP file.
        millimetres_per_unit: of the file.
    """
    faces = _named_faces(text)
    if not faces:
        return
    surfaces = {tag: (gmsh.model.getType(2, tag), _vertices(tag)) for _, tag in gmsh.model.getEntities(2)}
    size = max((float(np.ptp(points, axis=0).max()) for _, points in surfaces.values() if len(points)), default=1.0)
    taken: set[int] = set()
    for face in faces:
        for tag, (kind, points) in surfaces.items():
            alike = kind == face.kind or (face.kind == "" and kind not in _KINDS.values())
            if tag not in taken and alike and _same(points, face.vertices * millimetres_per_unit, _SAME_PLACE * size):
                gmsh.model.setEntityName(2, tag, face.name)
                taken.add(tag)
                break
    print(f"{len(taken)} of {len(faces)} named faces found in the model")


def _named_faces(text: str) -> list[_NamedFace]:
    """Faces with a telling name, in the order of the file; empty names cost no more than a search."""
    found = re.findall(r"(?:ADVANCED_FACE|FACE_SURFACE)\s*\(\s*'((?:[^']|'')*)'", text)
    if all(_MEANINGLESS.fullmatch(name.strip()) for name in found):
        return []
    entities = {number: (kind, body) for number, kind, body in _ENTITY.findall(text)}
    faces: list[_NamedFace] = []
    for kind, body in entities.values():
        if kind not in ("ADVANCED_FACE", "FACE_SURFACE"):
            continue
        label = re.match(r"\s*'((?:[^']|'')*)'\s*,\s*\(([^)]*)\)\s*,\s*#(\d+)", body)
        if label is None or _MEANINGLESS.fullmatch(label[1].strip()):
            continue
        surface = entities.get(label[3], ("", ""))[0]
        vertices = _walk(entities, re.findall(r"#(\d+)", label[2]))
        faces.append(_NamedFace(_decoded(label[1].strip()), _KINDS.get(surface, ""), vertices))
    return faces


def _walk(entities: dict[str, tuple[str, str]], start: list[str]) -> FloatArray:
    """Coordinates of the vertices under some bounds [V, 3]."""
    below = (
        "FACE_BOUND",
        "FACE_OUTER_BOUND",
        "EDGE_LOOP",
        "ORIENTED_EDGE",
        "EDGE_CURVE",
        "VERTEX_POINT",
        "VERTEX_LOOP",
    )
    seen: set[str] = set()
    waiting = list(start)
    points: list[list[float]] = []
    while waiting:
        number = waiting.pop()
        kind, body = entities.get(number, ("", ""))
        if number in seen:
            continue
        seen.add(number)
        if kind == "CARTESIAN_POINT":
            numbers = re.search(r"\(([^()]*)\)\s*$", body)
            points.append([float(item) for item in numbers[1].split(",")] if numbers else [])
        elif kind in below:
            waiting += re.findall(r"#(\d+)", body)
    return np.array([point for point in points if len(point) == 3], np.float64).reshape(-1, 3)


def _vertices(tag: int) -> FloatArray:
    """Corner vertices of a surface of the model [V, 3]."""
    corners = gmsh.model.getBoundary([(2, tag)], oriented=False, recursive=True)
    return np.array([gmsh.model.getValue(0, corner, []) for _, corner in corners], np.float64).reshape(-1, 3)


def _same(one: FloatArray, two: FloatArray, tolerance: float) -> bool:
    """Whether two sets of points are the same."""
    if len(one) == 0 or len(two) == 0:
        return False
    distances = np.linalg.norm(one[:, None] - two[None], axis=2)
    return float(max(distances.min(axis=0).max(), distances.min(axis=1).max())) <= tolerance


def _decoded(text: str) -> str:
    r"""A STEP string with its doubled quotes and \X2\ escapes resolved (ISO 10303-21)."""

    def characters(match: re.Match[str]) -> str:
        return bytes.fromhex(match[1]).decode("utf-16-be", errors="replace")

    text = re.sub(r"\\X2\\((?:[0-9A-Fa-f]{4})+)\\X0\\", characters, text.replace("''", "'"))
    return re.sub(r"\\X\\([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text)
