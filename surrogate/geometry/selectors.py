"""How a load or a support finds its faces, in every variant of a part: `select_faces` resolves a selector on a mesh."""

import numpy as np

from surrogate.errors import SelectorError
from surrogate.fields import FloatArray
from surrogate.geometry.selector_kinds import (
    AllSelector,
    AnySelector,
    BoxSelector,
    CylinderSelector,
    FaceIdSelector,
    NameSelector,
    NotSelector,
    PlaneSelector,
    Selector,
)
from surrogate.geometry.selector_spec import parse_selector, selector_spec
from surrogate.geometry.tet_mesh import Face, TetMesh, Vector

__all__ = [
    "AllSelector",
    "AnySelector",
    "BoxSelector",
    "CylinderSelector",
    "FaceIdSelector",
    "NameSelector",
    "NotSelector",
    "PlaneSelector",
    "Selector",
    "face_names",
    "parse_selector",
    "select_faces",
    "selector_spec",
]

_COS_5_DEG = float(np.cos(np.radians(5.0)))
# Faces whose positions differ by less than this share of the part's size are at the same height.
_SAME_POSITION = 1e-4
_MOST_LISTED = 12


def select_faces(mesh: TetMesh, selector: Selector) -> tuple[int, ...]:
    """Ids of the faces that a selector matches, ascending.

    Raises:
        SelectorError: it matches none, or (it or a selector inside it) not the expected number; the message lists what
            the part has.
    """
    found = _matches(mesh, selector)
    if not found:
        raise SelectorError(f"selector {_title(selector)} matched 0 faces; {_inventory(mesh, selector)}")
    return tuple(sorted(found))


def face_names(face: Face) -> tuple[str, ...]:
    """Names of a face; one that lies in several named sets carries them joined by a comma."""
    if face.name is None:
        return ()
    parts = tuple(face.name.split(", "))
    return parts if len(parts) == 1 else (face.name, *parts)


def _matches(mesh: TetMesh, selector: Selector) -> set[int]:
    """Ids that match; the expected number is checked, emptiness is not."""
    match selector:
        case NameSelector():
            found = {face.id for face in mesh.faces if selector.name in face_names(face)}
        case CylinderSelector():
            found = {face.id for face in mesh.faces if _is_cylinder(face, selector)}
        case PlaneSelector():
            found = _match_planes(mesh, selector)
        case BoxSelector():
            found = _match_box(mesh, selector)
        case FaceIdSelector():
            found = set(selector.face_ids)
            if found - set(range(len(mesh.faces))):
                missing = ", ".join(str(item) for item in sorted(found - set(range(len(mesh.faces)))))
                raise SelectorError(f"the part has no face {missing}; face ids are 0 to {len(mesh.faces) - 1}")
        case AnySelector():
            found = set[int]().union(*(_matches(mesh, member) for member in selector.of))
        case AllSelector():
            found = set(range(len(mesh.faces))).intersection(*(_matches(mesh, member) for member in selector.of))
        case NotSelector():
            inner = _matches(mesh, selector.of)
            if not inner and isinstance(selector.of, NameSelector):
                # A mistyped name would silently select the whole boundary.
                raise SelectorError(f"no face is named {selector.of.name!r}; {_inventory(mesh, selector.of)}")
            found = set(range(len(mesh.faces))) - inner
    if selector.expect is not None and len(found) != selector.expect:
        ids = ", ".join(str(item) for item in sorted(found)[:_MOST_LISTED])
        raise SelectorError(
            f"selector {_title(selector)} matched {len(found)} faces{f' ({ids})' if found else ''}, "
            f"expected {selector.expect}; {_inventory(mesh, selector)}"
        )
    return found


def _is_cylinder(face: Face, selector: CylinderSelector) -> bool:
    """Whether a face is such a cylinder."""
    if face.radius is None or face.axis is None:
        return False
    if abs(face.radius - selector.radius_m) > selector.tolerance * selector.radius_m * (1 + 1e-9):
        return False
    if selector.axis is not None and abs(_unit(selector.axis) @ np.array(face.axis)) < _COS_5_DEG:
        return False
    return selector.hole is None or selector.hole == face.hole


def _match_planes(mesh: TetMesh, selector: PlaneSelector) -> set[int]:
    """Planes that look that way, all or the extreme ones."""
    normal = _unit(selector.normal)
    planes = [face for face in mesh.faces if face.normal is not None and np.array(face.normal) @ normal >= _COS_5_DEG]
    if selector.at is None or not planes:
        return {face.id for face in planes}
    # Measured along the positive sense of the line, so that {normal: [0, 0, -1], at: "min"} is the lowest face.
    line = normal if normal[np.abs(normal) > 1e-6][0] > 0 else -normal
    positions = np.array([face.centroid for face in planes]) @ line
    extreme = positions.min() if selector.at == "min" else positions.max()
    near = np.abs(positions - extreme) <= _SAME_POSITION * max(mesh.size)
    return {face.id for face, kept in zip(planes, near, strict=True) if kept}


def _match_box(mesh: TetMesh, selector: BoxSelector) -> set[int]:
    """Faces with their centroid inside."""
    centroids = np.array([face.centroid for face in mesh.faces])
    slack = 1e-9 * max(mesh.size)
    inside = (centroids >= np.array(selector.low) - slack) & (centroids <= np.array(selector.high) + slack)
    return {int(index) for index in np.flatnonzero(inside.all(axis=1))}


def _unit(vector: Vector) -> FloatArray:
    """A direction of length one."""
    array = np.array(vector, np.float64)
    length = float(np.linalg.norm(array))
    if not np.isfinite(length) or length == 0:
        raise SelectorError(f"a direction must be finite and not zero, got {vector}")
    return array / length


def _title(selector: Selector) -> str:
    """How messages call a selector."""
    match selector:
        case NameSelector():
            return f"name {selector.name!r}"
        case CylinderSelector():
            return f"cylinder of radius {_millimetres(selector.radius_m)} mm"
        case PlaneSelector():
            return f"plane with normal {_short(selector.normal)}"
        case BoxSelector():
            return f"box {_short(selector.low)} to {_short(selector.high)} m"
        case FaceIdSelector():
            return f"face_ids {list(selector.face_ids)}"
        case AnySelector():
            return f"any of ({'; '.join(_title(member) for member in selector.of)})"
        case AllSelector():
            return f"all of ({'; '.join(_title(member) for member in selector.of)})"
        case NotSelector():
            return f"not ({_title(selector.of)})"


def _inventory(mesh: TetMesh, selector: Selector) -> str:
    """What the part does have, as far as it helps with this selector."""
    names = sorted({name for face in mesh.faces if face.name is not None for name in face.name.split(", ")})
    radii = sorted({_millimetres(face.radius) for face in mesh.faces if face.radius is not None}, key=float)
    parts = [
        f"named faces: {_listed(names)}" if names else "no face is named",
        f"cylinders in this part have radii {_listed(radii)} mm" if radii else "this part has no cylinders",
    ]
    if not isinstance(selector, NameSelector | CylinderSelector):
        normals = sorted({_short(face.normal) for face in mesh.faces if face.normal is not None})
        parts.append(f"planes have normals {_listed(normals)}" if normals else "this part has no planes")
        low, high = mesh.points.min(axis=0).tolist(), mesh.points.max(axis=0).tolist()
        parts.append(f"it spans {_short(low)} to {_short(high)} m and has {len(mesh.faces)} faces")
    return "; ".join(parts)


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _MOST_LISTED} more" if len(items) > _MOST_LISTED else ""
    return ", ".join(items[:_MOST_LISTED]) + more


def _millimetres(value: float) -> str:
    """Three digits, at least one decimal."""
    text = f"{value * 1e3:.3g}"
    return text if "." in text or "e" in text else text + ".0"


def _short(vector: Vector | list[float]) -> str:
    return "(" + ", ".join(f"{value + 0.0:.3g}" for value in vector) + ")"
