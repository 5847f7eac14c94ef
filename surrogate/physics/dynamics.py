"""Linear elastic dynamics: natural frequencies and modes, and implicit transient response.

Sources: Newmark, A method of computation for structural dynamics, ASCE J. Eng. Mech. Div. 85 (1959) 67; Hughes, The
Finite Element Method (1987), sections 9.1 (Newmark) and 9.3 (the alpha method of Hilber, Hughes
and Taylor 1977).

Shape letters: N points, C cells, T times, S stored times, K load cases, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigsh

from surrogate.errors import ProblemError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.assembly import StiffnessPattern
from surrogate.physics.elastic import ElasticAnchor, ElasticSystem
from surrogate.physics.mass import mass_matrix
from surrogate.physics.materials import Material
from surrogate.physics.sparse_factor import SparseFactor, factorize
from surrogate.physics.tet_element import elastic_matrices, gradients_and_volumes


@dataclass(frozen=True, eq=False)
class Modes:
    """Natural modes, the lowest first.

    Attributes:
        frequencies_hz: [M], Hz.
        shapes: displacement of each mode at the points [M, N, 3], scaled to unit modal mass, 1/sqrt(kg).
    """

    frequencies_hz: FloatArray
    shapes: FloatArray


@dataclass(frozen=True)
class RayleighDamping:
    """Damping matrix `mass_per_s * M + stiffness_s * K`; the damping ratio at angular frequency w is (a / w + b w) / 2.

    Attributes:
        mass_per_s: a, 1/s.
        stiffness_s: b, s.
    """

    mass_per_s: float = 0.0
    stiffness_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Motion:
    """State of a moving part.

    Attributes:
        displacement: [N, 3], m.
        velocity: [N, 3], m/s.
    """

    displacement: FloatArray
    velocity: FloatArray


@dataclass(frozen=True, eq=False)
class Transient:
    """Response over time.

    Attributes:
        times_s: every time [T], s.
        steps: indices of the times whose fields are stored, the first and the last included [S].
        displacement: [S, N, 3], m.
        velocity: [S, N, 3], m/s.
        kinetic_energy_j: at every time [T], J.
        strain_energy_j: at every time [T], J.
        external_work_j: work of the loads since time zero [T], J (trapezoidal rule, in balance with the scheme).
    """

    times_s: FloatArray
    steps: IntArray
    displacement: FloatArray
    velocity: FloatArray
    kinetic_energy_j: FloatArray
    strain_energy_j: FloatArray
    external_work_j: FloatArray


def system_mass(system: ElasticSystem) -> sp.csr_matrix:
    """Consistent mass of a held part in its free unknowns [n, n], kg."""
    mass = mass_matrix(system.mesh, system.material.density_kg_m3)
    return sp.csr_matrix(system.freedom.T @ mass @ system.freedom)


def natural_frequencies(system: ElasticSystem, count: int) -> Modes:
    """The lowest natural frequencies and modes of a held part, by shift-invert Lanczos with the factor at hand.

    Args:
        system: the held part.
        count: how many modes, at least 1 and fewer than the free unknowns.

    Raises:
        ProblemError: a count that the part does not have.
    """
    values, vectors = _lowest(system.stiffness, system_mass(system), system.factor, 0.0, count)
    return _modes(values, system.displacement(vectors))


def free_frequencies(mesh: TetMesh, material: Material, count: int) -> Modes:
    """The lowest natural frequencies and modes of a part that nothing holds: six of them are rigid motions, 0 Hz.

    Args:
        mesh: the part.
        material: its material.
        count: how many modes, the rigid ones counted.

    Raises:
        ProblemError: a count that the part does not have.
    """
    gradients, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    matrices = elastic_matrices(gradients, volumes, material.lame_lambda_pa, material.shear_modulus_pa)
    stiffness = StiffnessPattern(mesh.cells, len(mesh.points)).assemble(matrices)
    mass = mass_matrix(mesh, material.density_kg_m3)
    # A shift below zero makes the matrix positive definite; a thousandth of the lowest bar wave's squared angular
    # frequency lies between the rigid modes and the elastic ones of all but the thinnest parts, and needs not.
    shift = -1e-3 * material.youngs_modulus_pa / material.density_kg_m3 * (np.pi / max(mesh.size)) ** 2
    values, vectors = _lowest(stiffness, mass, factorize(sp.csr_matrix(stiffness - shift * mass)), shift, count)
    return _modes(values, np.moveaxis(vectors.reshape(len(mesh.points), 3, count), -1, 0))


def _lowest(
    stiffness: sp.csr_matrix, mass: sp.csr_matrix, factor: SparseFactor, shift: float, count: int
) -> tuple[FloatArray, FloatArray]:
    """The lowest squared angular frequencies [M], ascending, and their vectors [n, M] of unit modal mass."""
    size = stiffness.shape[0]
    if not 1 <= count < size:
        raise ProblemError(f"{count} modes of a part with {size} free unknowns; ask for 1 to {size - 1}")
    inverse = LinearOperator((size, size), matvec=factor.solve, dtype=np.float64)
    # The start vector is fixed, so that the same part gives the same modes bit for bit.
    start = np.random.default_rng(0).normal(size=size)
    values, vectors = eigsh(stiffness, count, mass, sigma=shift, OPinv=inverse, v0=start)
    order = np.argsort(values)
    return np.asarray(values[order]), np.asarray(vectors[:, order])


def _modes(values: FloatArray, shapes: FloatArray) -> Modes:
    """Modes with the largest component positive, so that their sign is settled."""
    flat = shapes.reshape(len(shapes), -1)
    largest = flat[np.arange(len(flat)), np.abs(flat).argmax(axis=1)]
    return Modes(np.sqrt(np.maximum(values, 0.0)) / (2 * np.pi), shapes * np.sign(largest)[:, None, None])


@dataclass(frozen=True, eq=False)
class _State:
    """Unknowns, velocities and accelerations [n]."""

    u: FloatArray
    v: FloatArray
    a: FloatArray


class _Scheme:
    """One step of the alpha method in its acceleration form (Hughes 1987, section 9.3)."""

    def __init__(self, system: ElasticSystem, dt: float, alpha: float, damping: RayleighDamping) -> None:
        self._dt, self._alpha = dt, alpha
        self._beta, self._gamma = (1 - alpha) ** 2 / 4, 0.5 - alpha
        self._mass, self._stiffness = system_mass(system), system.stiffness
        self._drag = sp.csr_matrix(damping.mass_per_s * self._mass + damping.stiffness_s * self._stiffness)
        implicit = self._gamma * self._drag + self._beta * dt * self._stiffness
        self._factor = factorize(sp.csr_matrix(self._mass + (1 + alpha) * dt * implicit))

    def first(self, force: FloatArray, u: FloatArray, v: FloatArray) -> _State:
        """The state at time zero: the acceleration follows from equilibrium."""
        pull = self._pull(force, u, v)
        return _State(u, v, factorize(self._mass).solve(pull) if pull.any() else np.zeros_like(u))

    def advance(self, state: _State, before: FloatArray, after: FloatArray) -> _State:
        """The state one step later, from the forces at both ends of the step [n], N."""
        dt, alpha = self._dt, self._alpha
        u = state.u + dt * state.v + dt**2 * (0.5 - self._beta) * state.a
        v = state.v + dt * (1 - self._gamma) * state.a
        pull = (1 + alpha) * self._pull(after, u, v) - alpha * self._pull(before, state.u, state.v)
        a = self._factor.solve(pull)
        return _State(u + self._beta * dt**2 * a, v + self._gamma * dt * a, a)

    def energies(self, state: _State) -> tuple[float, float]:
        """Kinetic and strain energy, J."""
        kinetic, strain = state.v @ (self._mass @ state.v), state.u @ (self._stiffness @ state.u)
        return 0.5 * float(kinetic), 0.5 * float(strain)

    def _pull(self, force: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
        return np.asarray(force - self._drag @ v - self._stiffness @ u)


def newmark(
    anchor: ElasticAnchor,
    factors: FloatArray,
    dt_s: float,
    *,
    start: Motion | None = None,
    alpha: float = 0.0,
    damping: RayleighDamping | None = None,
    stored_every: int = 1,
) -> Transient:
    """Linear elastic transient response by Newmark's average acceleration (beta 1/4, gamma 1/2) or the alpha method.

    With alpha = 0 and no damping the scheme keeps the energy: kinetic plus strain energy grows by just the external
    work. With alpha below zero, beta = (1 - alpha)^2 / 4 and gamma = 1/2 - alpha damp the modes that the time step does
    not resolve, and the order stays two. Stress follows from a stored displacement by `system.strain` and Hooke's law.

    Args:
        anchor: the held part and its load cases.
        factors: load factor of each case at times 0, dt, 2 dt, … [T, K].
        dt_s: time step, s.
        start: state at time zero; None for at rest.
        alpha: in [-1/3, 0].
        damping: None for none.
        stored_every: fields are stored at every so-manieth time, and at the last.

    Raises:
        ProblemError: a time step that is not positive, factors that do not fit the load cases, alpha out of range.
    """
    _check(anchor, factors, dt_s, alpha, stored_every)
    system = anchor.system
    scheme = _Scheme(system, dt_s, alpha, damping or RayleighDamping())
    forces = anchor.forces @ np.asarray(factors, np.float64).T  # [n, T]
    count = len(factors)
    state = scheme.first(forces[:, 0], *_unknowns(system, start))
    kept, work, energies = [state], np.zeros(count), [scheme.energies(state)]
    for step in range(1, count):
        before, after = forces[:, step - 1], forces[:, step]
        moved = scheme.advance(state, before, after)
        work[step] = work[step - 1] + 0.5 * (before + after) @ (moved.u - state.u)
        state = moved
        energies.append(scheme.energies(state))
        if step % stored_every == 0 or step == count - 1:
            kept.append(state)
    return Transient(
        times_s=dt_s * np.arange(count, dtype=np.float64),
        steps=np.unique([*range(0, count, stored_every), count - 1]).astype(np.int32),
        displacement=system.displacement(np.stack([held.u for held in kept], axis=1)),
        velocity=system.displacement(np.stack([held.v for held in kept], axis=1)),
        kinetic_energy_j=np.array([kinetic for kinetic, _ in energies]),
        strain_energy_j=np.array([strain for _, strain in energies]),
        external_work_j=work,
    )


def _unknowns(system: ElasticSystem, start: Motion | None) -> tuple[FloatArray, FloatArray]:
    """Unknowns and their velocities at time zero [n]; what the supports hold is left out."""
    if start is None:
        return np.zeros(system.freedom.shape[1]), np.zeros(system.freedom.shape[1])
    # The basis of the free displacements is orthonormal, so its transpose reads the unknowns.
    return np.asarray(system.freedom.T @ start.displacement.ravel()), np.asarray(
        system.freedom.T @ start.velocity.ravel()
    )


def _check(anchor: ElasticAnchor, factors: FloatArray, dt_s: float, alpha: float, stored_every: int) -> None:
    if not 0 < dt_s < float("inf"):
        raise ProblemError(f"time step {dt_s:g} s; give a positive number")
    if np.ndim(factors) != 2 or len(factors) == 0 or np.shape(factors)[1] != anchor.forces.shape[1]:
        raise ProblemError(
            f"factors of shape {np.shape(factors)} for {anchor.forces.shape[1]} load cases; give one row a time and "
            "one column a case"
        )
    if not np.isfinite(factors).all():
        raise ProblemError("a load factor is not a finite number")
    if not -1 / 3 <= alpha <= 0:
        raise ProblemError(f"alpha = {alpha:g}; the alpha method needs a value from -1/3 to 0")
    if stored_every < 1:
        raise ProblemError(f"stored_every = {stored_every}; give 1 or more")
