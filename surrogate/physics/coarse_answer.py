"""The answer to a large part from a coarse mesh of the same solid, as `Fields` like any other.

The fine mesh is gone through a group of cells at a time: strain of cases and modes, von Mises stress of every state,
the material law where a point yields. What is held for the whole part is linear in its points.
Shape letters: N points, C cells, P = 4 C quadrature points, A of them that yield, K load cases, J modes, H histories,
T steps, S stored states.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import Fields, FloatArray, HistoryFields, HistoryScalars, IntArray, StepScalars
from surrogate.geometry.cell_quality import mesh_volume
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.coarse_anchor import CoarseSettings, TransferredAnchor, near_yield, transferred_anchor
from surrogate.physics.coarse_groups import GroupStates, HighShare, HistoryPaths, group_states
from surrogate.physics.deviatoric import deviatoric_path
from surrogate.physics.elastic import build_elastic_system, solve_load_cases
from surrogate.physics.peak import is_new_peak
from surrogate.physics.problem import Problem
from surrogate.physics.solver_settings import Progress, SolverSettings
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions
from surrogate.physics.two_grid import SingleArray

# Points from which on a factor of a mesh's own takes longer than this.
LARGE_PART = 60_000
# Meshes of one solid differ in volume by what flat cells cut off curved faces; more than this is another solid.
_SAME_VOLUME = 0.1
_POINTS_TOGETHER = 50_000


def coarse_answer(
    problem: Problem, coarse: TetMesh, *, settings: CoarseSettings | None = None, progress: Progress | None = None
) -> Fields:
    """Answer every load history of a large part by a reduced anchor that is found with the factor of a coarse mesh.

    Nothing here is learned, and nothing is solved to a tolerance: the residual of the stored states, which is given
    with them, tells how far from equilibrium they are.

    Args:
        problem: on the part's own mesh.
        coarse: another mesh of the same solid, of about 5,000 points; the problem's selectors must find their faces.
        settings: how far the coarse answer is corrected.
        progress: called with (stage, share done).

    Returns:
        Fields of method "coarse".

    Raises:
        GeometryError: meshes of different solids.
        SelectorError: a selector finds nothing on the coarse mesh.
        RigidBodyError: the supports leave a rigid motion free.
    """
    settings, report, clock = settings or CoarseSettings(), progress or (lambda stage, done: None), _Clock()
    _check_same_solid(problem.mesh, coarse)
    report("anchor", 0.0)
    system = build_elastic_system(coarse, problem.material, problem.supports)
    anchor = solve_load_cases(replace(problem, mesh=coarse), system)
    clock.lap("anchor")
    report("transfer", 0.0)
    carried = transferred_anchor(problem, anchor, _padded(problem), settings)
    clock.lap("transfer")
    report("fields", 0.0)
    histories = _Assembly(problem, carried).run(report)
    clock.lap("fields")
    volumes = carried.grids.stiffness.volumes
    return Fields("coarse", histories, volumes, clock.timings(), _warnings(problem, coarse, carried))


@dataclass(frozen=True, eq=False)
class _Stored:
    """Fields of the stored states of one history."""

    steps: IntArray
    displacement: FloatArray
    stress: FloatArray
    plastic_strain: FloatArray
    equivalent: FloatArray


class _Assembly:
    """Goes through the part once and gathers what every history is told by."""

    def __init__(self, problem: Problem, anchor: TransferredAnchor) -> None:
        self._problem, self._anchor = problem, anchor
        self._points, strain = near_yield(anchor, 1.0)
        count, steps = anchor.factors.shape[:2]
        peak_plastic = np.zeros((count, steps))
        if len(self._points):
            states = deviatoric_path(strain.astype(np.float64), anchor.path, problem.material)
            for step, state in enumerate(states):
                peak_plastic[:, step] = state.equivalent.max(axis=1)
        self._peak_plastic = peak_plastic
        self._kept = self._stored_steps()
        self._stored = [self._empty(kept) for kept in self._kept]
        self._yielded = np.zeros((count, steps))
        self._elastic_peak, self._residual_peak = np.zeros(count), np.zeros(count)
        self._largest, self._at = np.zeros((count, steps)), np.zeros((count, steps), dtype=np.int64)
        self._high = HighShare(count * steps, 1e-3 * float(anchor.grids.stiffness.volumes.sum()))
        self._forces = np.zeros((*problem.mesh.points.shape, sum(len(kept) for kept in self._kept)))

    def run(self, report: Progress) -> tuple[HistoryFields, ...]:
        """All histories."""
        anchor, fields = self._anchor, self._anchor.fields
        stiffness, cases = anchor.grids.stiffness, anchor.cases.shape[2]
        last = np.array([self._last(h) for h in range(len(self._kept))])
        paths = HistoryPaths(stiffness.material, cases, anchor.path, tuple(self._kept), last)
        for number, group in enumerate(stiffness.groups):
            first, last = np.searchsorted(self._points, [4 * group.cells.start, 4 * group.cells.stop])
            strain = stiffness.strain(fields, group.cells)
            local = self._points[first:last] - 4 * group.cells.start
            found = group_states(strain, stiffness.volumes[group.cells].ravel(), local, paths)
            self._gather(found, slice(4 * group.cells.start, 4 * group.cells.stop))
            stress = np.concatenate(found.stress, axis=2, dtype=np.float32)
            self._forces[group.points] += stiffness.force_of_stress(stress, group)
            report("fields", (number + 1) / len(stiffness.groups))
        displacement, permanent = self._displacements(fields)
        residual = self._residuals()
        return tuple(
            self._history(h, displacement[h], float(permanent[h]), residual[h]) for h in range(len(self._kept))
        )

    def _gather(self, found: GroupStates, points: slice) -> None:
        volume = self._anchor.grids.stiffness.volumes.reshape(-1)[points]
        count, steps = self._largest.shape
        hottest = found.von_mises.argmax(axis=0).reshape(count, steps)
        largest = found.von_mises.max(axis=0).reshape(count, steps)
        new = largest > self._largest
        self._at = np.where(new, hottest + points.start, self._at)
        self._largest = np.maximum(self._largest, largest)
        self._high.add(found.von_mises, volume)
        self._yielded += found.yielded
        self._elastic_peak = np.maximum(self._elastic_peak, found.elastic_peak)
        self._residual_peak = np.maximum(self._residual_peak, found.residual_peak)
        for h, stored in enumerate(self._stored):
            cells = slice(points.start // 4, points.stop // 4)
            for name, values in (("stress", found.stress[h]), ("plastic_strain", found.plastic_strain[h])):
                getattr(stored, name)[:, cells] = values.transpose(2, 1, 0).reshape(values.shape[2], -1, 4, 6)
            stored.equivalent[:, cells] = found.equivalent[h].reshape(len(stored.steps), -1, 4)

    def _displacements(self, fields: SingleArray) -> tuple[FloatArray, FloatArray]:
        """Largest displacement at every step [H, T], and after unloading [H]; the stored ones are filled in."""
        path, cases = self._anchor.path, self._anchor.factors.shape[2]
        largest, permanent = np.zeros(path.shape[:2]), np.zeros(len(path))
        for first in range(0, len(fields), _POINTS_TOGETHER):
            part = slice(first, first + _POINTS_TOGETHER)
            for h, history in enumerate(path):
                moved = fields[part] @ history.T.astype(np.float32)  # [N', 3, T]
                largest[h] = np.maximum(largest[h], np.sqrt((moved**2).sum(axis=1).max(axis=0)))
                stays = fields[part, :, cases:] @ history[self._last(h), cases:].astype(np.float32)
                permanent[h] = max(permanent[h], np.sqrt((stays**2).sum(axis=1).max(initial=0.0)))
                self._stored[h].displacement[:, part] = moved[:, :, self._kept[h]].transpose(2, 0, 1)
        return largest, permanent

    def _residuals(self) -> list[FloatArray]:
        """Imbalance of each stored state over the largest load of its history."""
        anchor, grids = self._anchor, self._anchor.grids
        found, first = [], 0
        for h, kept in enumerate(self._kept):
            columns = slice(first, first + len(kept))
            applied = grids.free(anchor.forces)
            loads = np.linalg.norm((applied @ anchor.factors[h].T).reshape(-1, anchor.factors.shape[1]), axis=0)
            left = grids.free(anchor.forces @ anchor.factors[h, kept].T - self._forces[:, :, columns])
            size = np.linalg.norm(left.reshape(-1, len(kept)), axis=0)
            found.append(size / max(float(loads.max()), 1e-300))
            first += len(kept)
        return found

    def _history(self, h: int, displacement: FloatArray, permanent: float, residual: FloatArray) -> HistoryFields:
        history, stored, steps = self._problem.load_histories[h], self._stored[h], self._last(h) + 1
        material, yields = self._problem.material, bool(self._peak_plastic[h].max() > 0)
        every = np.full(steps, residual.max())
        every[stored.steps] = residual
        total, volumes = self._largest[h, :steps], float(self._anchor.grids.stiffness.volumes.sum())
        scalars = StepScalars(
            peak_von_mises_pa=total,
            p999_von_mises_pa=self._high.values().reshape(self._largest.shape)[h, :steps],
            peak_at_m=self._positions(self._at[h, :steps]),
            max_displacement_m=displacement[:steps],
            peak_plastic_strain=self._peak_plastic[h, :steps],
            yielded_volume_fraction=self._yielded[h, :steps] / volumes,
            equilibrium_residual=every,
        )
        totals = HistoryScalars(
            safety_factor_yield=material.yield_strength_pa / max(float(self._elastic_peak[h]), 1e-300),
            safety_factor_ultimate=material.ultimate_strength_pa / max(float(total.max()), 1e-300),
            permanent_set_m=permanent if yields else 0.0,
            max_residual_von_mises_pa=float(self._residual_peak[h]) if yields else 0.0,
        )
        return HistoryFields(
            history.name, history.factors, stored.steps, stored.displacement, stored.stress, stored.plastic_strain,
            stored.equivalent, scalars, totals,
        )  # fmt: skip

    def _positions(self, points: IntArray) -> FloatArray:
        mesh = self._problem.mesh
        shape = shape_functions(QUADRATURE_BARYCENTRIC)[points % 4]
        return np.asarray(np.einsum("ta,tai->ti", shape, mesh.points[mesh.cells[points // 4]]))

    def _stored_steps(self) -> list[IntArray]:
        """Every step where there are few in all, else the peak step by the rule of `physics.peak`, and the last."""
        lengths = [len(history.factors) for history in self._problem.load_histories]
        if sum(lengths) <= SolverSettings().stored_steps:
            return [np.arange(length) for length in lengths]
        kept = []
        for h, length in enumerate(lengths):
            forces = np.linalg.norm(self._anchor.factors[h, :length], axis=1)
            peak, held = 0, (-1.0, -1.0)
            for step in range(length):
                level = float(self._peak_plastic[h, step]), float(forces[step])
                if is_new_peak(*level, *held):
                    peak, held = step, level
            kept.append(np.unique([peak, length - 1]))
        return kept

    def _empty(self, kept: IntArray) -> _Stored:
        cells = (len(kept), len(self._problem.mesh.cells), 4)
        points = (len(kept), *self._problem.mesh.points.shape)
        tensors = np.zeros((*cells, 6)), np.zeros((*cells, 6))
        return _Stored(kept.astype(np.int32), np.zeros(points), *tensors, np.zeros(cells))

    def _last(self, h: int) -> int:
        return len(self._problem.load_histories[h].factors) - 1


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._first = self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[stage], self._last = now - self._last, now

    def timings(self) -> dict[str, float]:
        return {**self._seconds, "total": self._last - self._first}


def _padded(problem: Problem) -> FloatArray:
    """Factors of histories of unequal length [H, T, K]; the last are repeated, which is no further action."""
    longest = max(len(history.factors) for history in problem.load_histories)
    factors = [history.factors for history in problem.load_histories]
    return np.stack([np.concatenate([f, np.repeat(f[-1:], longest - len(f), axis=0)]) for f in factors])


def _check_same_solid(fine: TetMesh, coarse: TetMesh) -> None:
    one, other = mesh_volume(fine.points, fine.cells), mesh_volume(coarse.points, coarse.cells)
    apart = np.abs(fine.points.mean(axis=0) - coarse.points.mean(axis=0)).max() > 0.5 * max(fine.size)
    if abs(one - other) > _SAME_VOLUME * one or apart:
        raise GeometryError(
            f"the anchor mesh is not of this part: its volume is {other:.4g} m^3, the part's {one:.4g} m^3; give a "
            "coarser mesh of the same solid in the same place"
        )


def _warnings(problem: Problem, coarse: TetMesh, anchor: TransferredAnchor) -> tuple[str, ...]:
    found = [
        f"answered from an anchor mesh of {len(coarse.points)} points and corrected on the part's own "
        f"{len(problem.mesh.points)}; not solved to a tolerance, see the residuals"
    ]
    for history, settled in zip(problem.load_histories, anchor.settled, strict=True):
        if not settled.all():
            step = int(np.flatnonzero(~settled)[0]) + 1
            found.append(f"history {history.name!r} finds no balance in step {step}: at or past plastic collapse")
    return tuple(found)
