"""What the physics says of every history before the network speaks: the law run along strain paths.

Along the elastic strain alone that is the local anchor, the classical strain-driven notch approximation; along the
elastic strain and the plastic modes it is the reduced anchor, and what that gets wrong is what the network learns.
Shape letters: P points, H histories, T steps, K load cases, J modes, N mesh points.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, return_map
from surrogate.physics.reduced import ReducedAnchor


@dataclass(frozen=True, eq=False)
class AnchorFields:
    """Elastic answer to each load case at factor 1, as the model reads it.

    Attributes:
        material: of the part.
        volumes: of the quadrature points [C, 4], m^3.
        strain: [6, P, K], engineering shear.
        stress: [6, P, K], Pa.
        displacement: [K, N, 3], m.
    """

    material: Material
    volumes: FloatArray
    strain: FloatArray
    stress: FloatArray
    displacement: FloatArray


def anchor_fields(anchor: ElasticAnchor) -> AnchorFields:
    """The fields of a solved anchor."""
    system = anchor.system
    displacement = system.displacement(anchor.unknowns)
    return AnchorFields(system.material, system.volumes, anchor.strain, anchor.stress, displacement)


@dataclass(frozen=True, eq=False)
class AnchorPath:
    """The reduced anchor of all histories.

    Attributes:
        factors: [H, T, K].
        coordinates: of the modes [H, T, J].
        earlier: coordinates before the last enrichment [H, T, J].
        mode_strain: [6, P, J], engineering shear.
        mode_displacement: [J, N, 3], m.
        points: quadrature points at which the anchor lets anything flow [A].
    """

    factors: FloatArray
    coordinates: FloatArray
    earlier: FloatArray
    mode_strain: FloatArray
    mode_displacement: FloatArray
    points: IntArray


def anchor_path(anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor) -> AnchorPath:
    """The reduced anchor as the model reads it; factors [H, T, K]."""
    displacement = np.zeros((0, *anchor.system.mesh.points.shape))
    if reduced.unknowns.shape[1]:
        displacement = anchor.system.displacement(reduced.unknowns)
    return AnchorPath(factors, reduced.coordinates, reduced.earlier, reduced.strain, displacement, reduced.points)


@dataclass(frozen=True)
class AnchorStep:
    """The anchors at some points after one step.

    Attributes:
        step: index of the step.
        stress: of the reduced anchor [6, P, H], Pa.
        state: its plastic state, trailing shape [P, H].
        earlier: equivalent plastic strain before the last enrichment [P, H].
        local: equivalent plastic strain of the local anchor [P, H].
    """

    step: int
    stress: FloatArray
    state: PlasticState
    earlier: FloatArray
    local: FloatArray


def anchor_steps(
    fields: AnchorFields,
    path: AnchorPath,
    points: IntArray,
    histories: IntArray | None = None,
    steps: int | None = None,
) -> Iterator[AnchorStep]:
    """Run the law at some points along three strain paths: reduced, reduced before the last enrichment, and local.

    Args:
        fields: elastic answer.
        path: the reduced anchor.
        points: of the mesh's quadrature points [P].
        histories: some of them; None for all.
        steps: so many of the first; None for all.
    """
    chosen = slice(None) if histories is None else histories
    factors = path.factors[chosen, :steps]
    cases, modes = fields.strain[:, points], path.mode_strain[:, points]
    both = np.concatenate([cases, modes], axis=-1)
    reduced, earlier = (
        local_path(both, np.concatenate([factors, part[chosen, :steps]], axis=-1), fields.material)
        for part in (path.coordinates, path.earlier)
    )
    for now, before, alone in zip(reduced, earlier, local_path(cases, factors, fields.material), strict=True):
        yield AnchorStep(now.step, now.stress, now.state, before.state.equivalent, alone.state.equivalent)


@dataclass(frozen=True)
class LocalStep:
    """The law after one step of a strain path.

    Attributes:
        step: index of the step.
        stress: [6, P, H], Pa.
        state: plastic state, trailing shape [P, H].
    """

    step: int
    stress: FloatArray
    state: PlasticState


def pad_factors(factors: list[FloatArray]) -> FloatArray:
    """Histories of unequal length as one array [H, T, K]; the last factors are repeated, which is no further action."""
    longest = max(len(f) for f in factors)
    return np.stack([np.concatenate([f, np.repeat(f[-1:], longest - len(f), axis=0)]) for f in factors])


def local_path(case_strain: FloatArray, factors: FloatArray, material: Material) -> Iterator[LocalStep]:
    """Run the material law along a strain path, step by step.

    Args:
        case_strain: strain of each load case (and mode) [6, P, K], engineering shear.
        factors: [H, T, K].
        material: the law.
    """
    state = PlasticState.virgin(case_strain.shape[1], len(factors))
    for step in range(factors.shape[1]):
        mapped = return_map(case_strain @ factors[:, step].T, state, material)
        state = mapped.state
        yield LocalStep(step, mapped.stress, state)


def elastic_von_mises_squares(case_stress: FloatArray) -> FloatArray:
    """Quadratic form of the squared von Mises stress in the load factors [K*K, P], Pa^2."""
    deviators = case_stress.copy()
    deviators[:3] -= case_stress[:3].mean(axis=0)
    weights = np.array([1.5, 1.5, 1.5, 3.0, 3.0, 3.0])
    form = np.einsum("c,cpk,cpl->klp", weights, deviators, deviators, optimize=True)
    return form.reshape(-1, case_stress.shape[1])


def elastic_von_mises(form: FloatArray, factors: FloatArray) -> FloatArray:
    """Elastic von Mises stress [S, P] at load factors [S, K] from its quadratic form, Pa."""
    products = (factors[:, :, None] * factors[:, None, :]).reshape(len(factors), -1)
    return np.sqrt(np.maximum(products @ form, 0.0))


def elastic_envelope(form: FloatArray, factors: FloatArray) -> FloatArray:
    """Largest elastic von Mises stress of each point over states [S, K] -> [P], Pa, in bounded memory."""
    largest = np.zeros(form.shape[1])
    for chunk in np.array_split(factors, max(1, len(factors) * form.shape[1] // 4_000_000)):
        largest = np.maximum(largest, elastic_von_mises(form, chunk).max(axis=0))
    return largest
