"""What the reader of an answer must be told: collapse, peaks that depend on the mesh, limits of the method.

Shape letters: N points, C cells, Q quadrature points a cell.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from surrogate.fields import Fields, HistoryFields, IntArray
from surrogate.geometry.selectors import Selector, select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import Acceleration, BearingForce, Problem
from surrogate.physics.supports import held_points
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions

# Rotations of about a tenth of the size change the lever arms by per cents, and strains of a tenth the section.
LARGE_DISPLACEMENT = 0.1
LARGE_STRAIN = 0.1
_NAMES_SHOWN = 3


def findings(problem: Problem, fields: Fields) -> tuple[str, ...]:
    """Sentences for the top of the report, the most serious first; those of the answer itself are included.

    Args:
        problem: what was asked.
        fields: the answer.
    """
    found = [*_collapses(fields), *_beyond_domain(fields), *fields.warnings]
    found += _beyond_method(problem, fields)
    found += _pulling_pins(problem, fields)
    peaks = _peak_cells(problem.mesh, fields)
    for kind, names in (
        ("support", _peaks_on_supports(problem, peaks)),
        ("load", _peaks_on_loads(problem, fields, peaks)),
    ):
        if names:
            found.append(
                f"{_histories(names)}: the peak von Mises stress sits on the edge of a {kind} face, where it depends "
                "on the mesh; read the 99.9 percentile, or move the edge away"
            )
    return tuple(dict.fromkeys(found))


def _peaks_on_supports(problem: Problem, peaks: Mapping[str, int]) -> list[str]:
    # A frictionless or symmetry plane meets its neighbours without a singularity; an edge that is held has one.
    mesh = problem.mesh
    on_rim = np.zeros(len(mesh.points), dtype=bool)
    for support in problem.supports:
        if support.meeting is not None:
            on_rim[np.concatenate([points for _, points in held_points(mesh, support)])] = True
        elif support.fixed != ("normal",):
            on_rim[rim_points(mesh, select_faces(mesh, support.faces))] = True
    return _touching(mesh, on_rim, peaks)


def _peaks_on_loads(problem: Problem, fields: Fields, peaks: Mapping[str, int]) -> list[str]:
    """Only the cases that act at the peak count."""
    found: set[str] = set()
    for number, case in enumerate(problem.load_cases):
        acting = [h.name for h in fields.histories if h.name in peaks and h.factors[hottest_step(h), number] != 0]
        loaded = [load.faces for load in case.loads if not isinstance(load, Acceleration)]
        found |= set(_peaks_on_rim(problem.mesh, loaded, {name: peaks[name] for name in acting}))
    return [name for name in peaks if name in found]


def hottest_step(history: HistoryFields) -> int:
    """Index of the step of largest von Mises stress."""
    return int(np.argmax(history.scalars.peak_von_mises_pa))


def _peaks_on_rim(mesh: TetMesh, selectors: Iterable[Selector], peaks: Mapping[str, int]) -> list[str]:
    """Names of the histories whose peak lies in a cell that touches the rim of some faces."""
    on_rim = np.zeros(len(mesh.points), dtype=bool)
    for selector in selectors:
        on_rim[rim_points(mesh, select_faces(mesh, selector))] = True
    return _touching(mesh, on_rim, peaks)


def _touching(mesh: TetMesh, on_rim: NDArray[np.bool_], peaks: Mapping[str, int]) -> list[str]:
    """Names of the histories whose peak lies in a cell with a marked point [N]."""
    return [name for name, cell in peaks.items() if bool(np.any(on_rim[mesh.cells[cell]]))]


def rim_points(mesh: TetMesh, face_ids: tuple[int, ...]) -> IntArray:
    """Points on the edge between some faces and the rest of the surface [R]."""
    inside = np.isin(mesh.triangle_face, face_ids)
    return np.intersect1d(mesh.triangles[inside], mesh.triangles[~inside]).astype(np.int32)


def _peak_cells(mesh: TetMesh, fields: Fields) -> dict[str, int]:
    """The cell in which the peak von Mises stress of each history lies; histories without a step are left out."""
    reached = [history for history in fields.histories if len(history.factors)]
    if not reached:
        return {}
    shape = shape_functions(QUADRATURE_BARYCENTRIC)
    points = np.einsum("qa,cai->cqi", shape, mesh.points[mesh.cells], optimize=True).reshape(-1, 3)
    _, nearest = cKDTree(points).query(np.array([h.scalars.peak_at_m[hottest_step(h)] for h in reached]))
    return {history.name: int(index) // 4 for history, index in zip(reached, nearest, strict=True)}


def _collapses(fields: Fields) -> list[str]:
    return [
        f"{_histories([history.name])}: plastic collapse during step {history.collapse.step + 1}, with "
        f"{history.collapse.fraction:.0%} of its load increment and {history.collapse.load_factor:.0%} of the "
        f"history's largest load carried ({history.collapse.reason}); the results end with that state"
        for history in fields.histories
        if history.collapse is not None
    ]


def _beyond_domain(fields: Fields) -> list[str]:
    if fields.domain is None or fields.domain.inside:
        return []
    return [
        f"outside the model's training domain (score {fields.domain.score:.2f}, the edge is 1): "
        f"{fields.domain.reason}; verify by solving"
    ]


def _beyond_method(problem: Problem, fields: Fields) -> list[str]:
    limits = (
        ("max_displacement_m", LARGE_DISPLACEMENT * max(problem.mesh.size), "the displacement exceeds a tenth of the "
         "part's size; large displacement is not modelled"),
        ("peak_plastic_strain", LARGE_STRAIN, "the plastic strain exceeds 10 %; finite strain is not modelled"),
        ("peak_von_mises_pa", problem.material.ultimate_strength_pa, "the von Mises stress exceeds the ultimate "
         "strength; the part must be expected to break"),
    )  # fmt: skip
    found = []
    for name, limit, sentence in limits:
        names = [h.name for h in fields.histories if float(getattr(h.scalars, name).max(initial=0.0)) > limit]
        if names:
            found.append(f"{_histories(names)}: {sentence}")
    return found


def _pulling_pins(problem: Problem, fields: Fields) -> list[str]:
    """A history scales nodal forces, so that a negative factor turns the pressure of a pin into a pull."""
    bearing = [any(isinstance(load, BearingForce) for load in case.loads) for case in problem.load_cases]
    names = [h.name for h in fields.histories if (h.factors[:, bearing] < 0).any()]
    if not names:
        return []
    return [
        f"{_histories(names)}: a bearing force has a negative factor, which pulls at the wall that it presses on; "
        "give the opposite force as a load case of its own"
    ]


def _histories(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{'history' if len(names) == 1 else 'histories'} {shown}{more}"
