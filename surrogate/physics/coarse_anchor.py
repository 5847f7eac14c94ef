"""Elastoplastic histories of a large part without its factor, in time and memory linear in the points.

A coarse mesh of bounded size of the same solid is factored. Interpolated to the fine mesh its elastic answer is the
start, not the answer: the load cases are brought towards the fine mesh's own equilibrium by a few two-grid iterations,
the law is run at the fine points that come near yield, and the plastic strain found there makes modes of the fine mesh
in the same way, in whose span the histories are integrated.
Shape letters: N points, C cells, P = 4 C quadrature points, A of them near yield, K load cases, J modes, H histories,
T steps.
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.galerkin import ReducedProblem, integrate
from surrogate.physics.invariants import von_mises
from surrogate.physics.loads import nodal_forces
from surrogate.physics.plastic_modes import plastic_modes, snapshots_along
from surrogate.physics.problem import Problem
from surrogate.physics.reduced_span import representative_histories
from surrogate.physics.two_grid import SingleArray, TwoGrid, conjugate_gradients, single_stress, two_grid

# Points times states whose stress exists at a time.
_STATES_TOGETHER = 4_000_000
# A mode whose energy lies this far within the span of the others is one of them.
_NEW_DIRECTION = 1e-5


@dataclass(frozen=True)
class CoarseSettings:
    """How far the coarse answer is corrected on the fine mesh.

    Attributes:
        iterations: two-grid iterations of the load cases and of the modes, at most; 0 leaves what was interpolated.
        tolerance: of the load cases' iterations, on the energy norm of the error over that of the answer.
        mode_tolerance: of the modes' iterations.
        modes: that each round adds, at most.
        rounds: of making modes, the first from the plastic strain of the points alone, each other from the one before.
        gate: points whose von Mises stress on the elastic path stays below this share of yield are taken as elastic
            when the modes are integrated.
        snapshot_histories: histories that make the modes of a round, at most.
        snapshot_steps: steps of each of them, at most.
    """

    iterations: int = 30
    tolerance: float = 1e-2
    mode_tolerance: float = 3e-2
    modes: int = 8
    rounds: int = 2
    gate: float = 0.7
    snapshot_histories: int = 16
    snapshot_steps: int = 8


@dataclass(frozen=True, eq=False)
class TransferredAnchor:
    """A reduced anchor on a fine mesh: displacement fields, and how much of each acts at each step.

    Attributes:
        grids: both meshes.
        forces: of each load case on the fine mesh [N, 3, K], N.
        cases: displacement of each load case at factor 1 [N, 3, K], m.
        modes: displacement of each mode [N, 3, J], m.
        factors: of the cases [H, T, K].
        coordinates: of the modes [H, T, J].
        settled: whether a step found its balance in the modes' span [H, T].
    """

    grids: TwoGrid
    forces: FloatArray
    cases: FloatArray
    modes: FloatArray
    factors: FloatArray
    coordinates: FloatArray
    settled: BoolArray

    @property
    def fields(self) -> SingleArray:
        """Displacement of cases and modes side by side [N, 3, K + J]."""
        return np.concatenate([self.cases, self.modes], axis=2, dtype=np.float32)

    @property
    def path(self) -> FloatArray:
        """How much of each of them acts [H, T, K + J]."""
        return np.concatenate([self.factors, self.coordinates], axis=-1)


def transferred_anchor(
    problem: Problem, coarse: ElasticAnchor, factors: FloatArray, settings: CoarseSettings | None = None
) -> TransferredAnchor:
    """The reduced anchor of a fine mesh, found with the factor of a coarse one.

    Args:
        problem: on the fine mesh.
        coarse: elastic answer on the coarse mesh to the same load cases.
        factors: of the histories [H, T, K].
        settings: how far it is corrected.

    Raises:
        RigidBodyError: the supports leave a rigid motion of the fine mesh free.
    """
    settings = settings or CoarseSettings()
    system = coarse.system
    grids = two_grid(problem.mesh, system, problem.supports)
    volumes, density = grids.stiffness.volumes, problem.material.density_kg_m3
    forces = np.moveaxis(nodal_forces(problem.load_cases, problem.mesh, density, volumes), 0, 2)
    cases = grids.interpolated(np.moveaxis(system.displacement(coarse.unknowns), 0, 2))
    cases = conjugate_gradients(grids, forces, cases, settings.iterations, settings.tolerance)
    none, idle = np.zeros((*problem.mesh.points.shape, 0)), np.zeros((*factors.shape[:2], 0))
    anchor = TransferredAnchor(grids, forces, cases, none, factors, idle, np.ones(factors.shape[:2], dtype=bool))
    for _ in range(settings.rounds):
        anchor = _with_more_modes(anchor, settings)
    return anchor


def near_yield(anchor: TransferredAnchor, gate: float) -> tuple[IntArray, SingleArray]:
    """Quadrature points whose stress on the elastic path reaches a share of yield, and the strain of all fields there.

    Returns:
        Points [A] and strain [6, A, K + J].
    """
    stiffness, fields = anchor.grids.stiffness, anchor.fields
    level = np.float32(gate * stiffness.material.yield_strength_pa)
    states = np.unique(anchor.path.reshape(-1, fields.shape[2]), axis=0).T.astype(np.float32)
    points, strains = [], []
    for group in stiffness.groups:
        strain = stiffness.strain(fields, group.cells)
        # The von Mises stress is a norm: the sum over the fields bounds it, and spares most points the states.
        single = von_mises(cast(FloatArray, single_stress(strain, stiffness.material)))
        near = np.flatnonzero((single @ np.abs(states)).max(axis=1) > level)
        largest = np.zeros(len(near), dtype=np.float32)
        together = max(1, _STATES_TOGETHER // max(1, len(near)))
        for first in range(0, states.shape[1], together):
            stress = single_stress(strain[:, near] @ states[:, first : first + together], stiffness.material)
            largest = np.maximum(largest, von_mises(cast(FloatArray, stress)).max(axis=1))
        near = near[largest > level]
        points.append(near + 4 * group.cells.start)
        strains.append(strain[:, near])
    return np.concatenate(points), np.concatenate(strains, axis=1)


def _with_more_modes(anchor: TransferredAnchor, settings: CoarseSettings) -> TransferredAnchor:
    """The same histories in a span that the plastic strain they have so far makes wider."""
    stiffness = anchor.grids.stiffness
    points, strain = near_yield(anchor, settings.gate)
    if not len(points):
        return anchor
    weights = stiffness.volumes.ravel()[points]
    path = anchor.path[representative_histories(anchor.factors, settings.snapshot_histories)]
    snapshots = snapshots_along(strain.astype(np.float64), path, stiffness.material, settings.snapshot_steps)
    plastic = plastic_modes(snapshots, weights, settings.modes)
    if not len(plastic):
        return anchor
    forces = _forces_of_plastic_strain(anchor.grids, points, plastic)
    start = np.zeros_like(forces)
    modes = conjugate_gradients(anchor.grids, forces, start, settings.iterations, settings.mode_tolerance)
    modes = _orthonormal(anchor.grids, np.concatenate([anchor.modes, modes], axis=2))
    cases = strain[..., : anchor.cases.shape[2]].astype(np.float64)
    problem = ReducedProblem(cases, _strain_at(anchor.grids, modes, points), weights, stiffness.material)
    found = integrate(problem, anchor.factors)
    return replace(anchor, modes=modes, coordinates=found.coordinates, settled=found.settled)


def _forces_of_plastic_strain(grids: TwoGrid, points: IntArray, plastic: FloatArray) -> FloatArray:
    """Nodal forces [N, 3, J] of the stress that fields of plastic strain [J, 6, A] take away, N."""
    stiffness = grids.stiffness
    forces = np.zeros((*stiffness.mesh.points.shape, len(plastic)))
    for group in stiffness.groups:
        first, last = np.searchsorted(points, [4 * group.cells.start, 4 * group.cells.stop])
        if first == last:
            continue
        strain = np.zeros((6, 4 * (group.cells.stop - group.cells.start), len(plastic)), dtype=np.float32)
        strain[:, points[first:last] - 4 * group.cells.start] = plastic[:, :, first:last].transpose(1, 2, 0)
        forces[group.points] += stiffness.force_of_stress(single_stress(strain, stiffness.material), group)
    return forces


def _orthonormal(grids: TwoGrid, modes: FloatArray) -> FloatArray:
    """What modes [N, 3, J] span, orthonormal in energy."""
    flat, forces = modes.reshape(-1, modes.shape[2]), grids.stiffness.force(modes)
    gram = flat.T @ forces.reshape(flat.shape)
    gram = (gram + gram.T) / 2
    scale = 1 / np.sqrt(np.maximum(gram.diagonal(), 1e-300))
    energy, mixing = np.linalg.eigh(gram * scale[:, None] * scale)
    new = energy > _NEW_DIRECTION * energy[-1]
    return np.asarray(modes * scale @ (mixing[:, new] / np.sqrt(energy[new])))


def _strain_at(grids: TwoGrid, modes: FloatArray, points: IntArray) -> FloatArray:
    """Strain [6, A, J] of displacement fields at some quadrature points."""
    strain = np.empty((6, len(points), modes.shape[2]))
    for group in grids.stiffness.groups:
        first, last = np.searchsorted(points, [4 * group.cells.start, 4 * group.cells.stop])
        if first < last:
            of_group = grids.stiffness.strain(modes, group.cells)
            strain[:, first:last] = of_group[:, points[first:last] - 4 * group.cells.start]
    return strain
