"""The span of a part's plastic modes: how it starts, how it grows, and the answer of histories within it.

Shape letters: P quadrature points, A points that may yield, J modes, H histories, T steps, K load cases, S snapshots,
n free unknowns.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.physics.cubature import CubatureSettings, Floats
from surrogate.physics.elastic import ElasticAnchor, ElasticSystem
from surrogate.physics.galerkin import ReducedProblem, integrate
from surrogate.physics.plastic_modes import ENERGY, EVENING, snapshots_along
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.tangent_modes import Combined, CorrectionSettings, corrections, leading

# A mode whose energy norm lies this far within the span of those before is one of them.
_NEW_DIRECTION = 1e-5


@dataclass(frozen=True)
class CrowdSettings:
    """How the span of many histories is made (see `crowd`).

    Attributes:
        rounds: of modes.
        modes: displacement modes that each round adds, at most.
        histories: that make the modes of a round.
        snapshots: fields of plastic strain of all of these together, about.
        fewest: of each.
        correction: how each round after the first finds what the span lacks.
        rough: the choice of points between rounds.
        fine: the choice that counts.
    """

    rounds: int = 3
    modes: int = 16
    histories: int = 48
    snapshots: int = 144
    fewest: int = 3
    correction: CorrectionSettings = field(
        default_factory=lambda: CorrectionSettings(iterations=4, states=16, fewest=1)
    )
    rough: CubatureSettings = field(default_factory=lambda: CubatureSettings(tolerance=1e-2))
    fine: CubatureSettings = field(default_factory=CubatureSettings)


@dataclass(frozen=True)
class ReducedSettings:
    """How far the span reaches.

    Attributes:
        modes: displacement modes that each round adds, at most.
        enrichments: rounds after the first that are always made.
        further: rounds after these, at most, each for the histories alone that have not come to rest.
        tolerance: a history is at rest where a round moves it by no more than this share of its size, in energy; what
            is left adds up, so that a history of more than `steps` steps is asked for less in proportion.
        steps: see there.
        correction: how each round finds what the span lacks.
        gate: points whose elastic von Mises stress stays below this share of yield are taken as elastic,
        pushed: unless the modes bring them to this share of it.
        snapshot_histories: histories that make the modes of a round, at most.
        snapshot_steps: steps of each of them in the first round, at most.
        whole_histories: up to so many histories, all points that may yield are integrated; beyond, few points stand
            for them.
        crowd: how the span of more histories is made.
        crowd_tolerance: the tolerance of these, which are there to be ranked.
        worst: of these, so many of the largest plastic strain are corrected at all points.
        corrected_times: how often, at most, since others may be the worst in the wider span.
    """

    modes: int = 12
    enrichments: int = 1
    further: int = 4
    tolerance: float = 0.05
    steps: int = 20
    correction: CorrectionSettings = field(default_factory=CorrectionSettings)
    gate: float = 0.8
    pushed: float = 0.9
    snapshot_histories: int = 16
    snapshot_steps: int = 8
    whole_histories: int = 32
    crowd: CrowdSettings = field(default_factory=CrowdSettings)
    crowd_tolerance: float = 0.15
    worst: int = 20
    corrected_times: int = 3


def plain_rounds(enrichments: int) -> ReducedSettings:
    """So many rounds for every history, each of the elastic displacement of the plastic strain of the one before.

    Its points are those of decision 11, where the elastic answer alone says which may flow.
    """
    return ReducedSettings(
        enrichments=enrichments,
        further=0,
        correction=CorrectionSettings(iterations=0),
        gate=0.35,
        pushed=np.inf,
        crowd=CrowdSettings(rounds=enrichments + 1, modes=12, correction=CorrectionSettings(iterations=0)),
        worst=0,
    )


@dataclass(frozen=True, eq=False)
class ReducedAnchor:
    """Modes of a part and how much of each acts at each step of each history.

    Attributes:
        unknowns: displacement modes, orthonormal in energy [n, J].
        strain: their strain [6, P, J], engineering shear.
        coordinates: [H, T, J].
        earlier: coordinates before the last enrichment, zero for the modes that it added [H, T, J].
        settled: whether a step found its balance in the span [H, T]; where not, the part is at or past collapse.
        points: quadrature points that were integrated; all others are elastic [A].
    """

    unknowns: FloatArray
    strain: FloatArray
    coordinates: FloatArray
    earlier: FloatArray
    settled: BoolArray
    points: IntArray

    @property
    def moved(self) -> FloatArray:
        """How far the last enrichment moved each history, as a share of its size, in energy [H]."""
        size = np.linalg.norm(self.coordinates, axis=-1).max(axis=1)
        change = np.linalg.norm(self.coordinates - self.earlier, axis=-1).max(axis=1)
        return np.asarray(change / np.maximum(size, 1e-300))

    def of(self, histories: IntArray) -> "ReducedAnchor":
        """Some of the histories in the same span."""
        rows = (self.coordinates[histories], self.earlier[histories], self.settled[histories])
        return ReducedAnchor(self.unknowns, self.strain, *rows, self.points)

    def away_from(self, before: "ReducedAnchor") -> FloatArray:
        """How far each history is from an answer in fewer modes, as a share of its size, in energy [H]."""
        grown = ((0, 0), (0, 0), (0, self.unknowns.shape[1] - before.unknowns.shape[1]))
        size = np.linalg.norm(self.coordinates, axis=-1).max(axis=1)
        change = np.linalg.norm(self.coordinates - np.pad(before.coordinates, grown), axis=-1).max(axis=1)
        return np.asarray(change / np.maximum(size, 1e-300))

    def with_part(self, part: "ReducedAnchor", histories: IntArray) -> "ReducedAnchor":
        """These histories as a part answers them, whose span has this one's modes and then more."""
        grown = ((0, 0), (0, 0), (0, part.unknowns.shape[1] - self.unknowns.shape[1]))
        coordinates, earlier = np.pad(self.coordinates, grown), np.pad(self.earlier, grown)
        settled = self.settled.copy()
        coordinates[histories], earlier[histories], settled[histories] = part.coordinates, part.earlier, part.settled
        points = np.union1d(self.points, part.points)
        return ReducedAnchor(part.unknowns, part.strain, coordinates, earlier, settled, points)


def empty_span(anchor: ElasticAnchor, factors: FloatArray, points: IntArray) -> ReducedAnchor:
    """No modes: every history [H, T, K] as the elastic answer has it; points that may flow [A]."""
    none = np.zeros((*factors.shape[:2], 0))
    unknowns, strain = np.zeros((len(anchor.unknowns), 0)), np.zeros((*anchor.strain.shape[:2], 0))
    return ReducedAnchor(unknowns, strain, none, none, np.ones(factors.shape[:2], dtype=bool), points)


def enriched(anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, plastic: FloatArray) -> ReducedAnchor:
    """Add the displacement that fields of plastic strain cause to the span, and integrate again.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        reduced: the span so far.
        plastic: fields of plastic strain at its points [J', 6, A], engineering shear.
    """
    return widened(anchor, factors, reduced, caused_displacement(anchor, reduced.points, plastic))


def caused_displacement(anchor: ElasticAnchor, points: IntArray, plastic: FloatArray) -> FloatArray:
    """The elastic displacement [n, J'] that fields of plastic strain [J', 6, A] at some points [A] cause."""
    system = anchor.system
    everywhere = np.zeros((6, system.volumes.size, len(plastic)))
    everywhere[:, points] = plastic.transpose(1, 2, 0)
    return system.factor.solve(system.internal_force(elastic_stress(everywhere, system.material)))


def widened(anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, added: FloatArray) -> ReducedAnchor:
    """Add displacements [n, J'] to the span, and integrate again; the other arguments as of `enriched`."""
    wider = with_modes(anchor, reduced, added)
    found = integrate(reduced_problem(anchor, wider), factors)
    return replace(wider, coordinates=found.coordinates, settled=found.settled)


def reduced_problem(anchor: ElasticAnchor, reduced: ReducedAnchor) -> ReducedProblem:
    """What is integrated in a span, at all points that may flow."""
    points, system = reduced.points, anchor.system
    return ReducedProblem(
        anchor.strain[:, points], reduced.strain[:, points], system.volumes.ravel()[points], system.material
    )


def acting(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, chosen: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Load cases and modes as one: their strain at the points that may flow [6, A, K + J], and the paths of chosen
    histories along them [C, T, K + J]."""
    strain = np.concatenate([field[:, reduced.points] for field in (anchor.strain, reduced.strain)], axis=-1)
    return strain, np.concatenate([factors[chosen], reduced.coordinates[chosen]], axis=-1)


def newton_modes(
    anchor: ElasticAnchor,
    factors: FloatArray,
    reduced: ReducedAnchor,
    chosen: IntArray,
    settings: CorrectionSettings,
    count: int,
) -> FloatArray:
    """Newton's corrections of chosen histories, the displacements that span them best [n, J'], at most so many."""
    combined = Combined(factors.shape[2], *acting(anchor, factors, reduced, chosen), reduced.unknowns)
    return leading(*corrections(anchor, reduced.points, combined, settings), count, EVENING, ENERGY)


def with_modes(anchor: ElasticAnchor, reduced: ReducedAnchor, added: FloatArray) -> ReducedAnchor:
    """Displacements [n, J'] beside a span's own; of the new ones nothing acts in any history so far."""
    system, known = anchor.system, reduced.unknowns.shape[1]
    unknowns = _orthonormal(system, reduced.unknowns, added)
    strain = np.concatenate([reduced.strain, system.strain(unknowns[:, known:])], axis=-1)
    before = np.pad(reduced.coordinates, ((0, 0), (0, 0), (0, unknowns.shape[1] - known)))
    return ReducedAnchor(unknowns, strain, before, before, reduced.settled, reduced.points)


def representative_histories(factors: FloatArray, count: int) -> IntArray:
    """Histories that span the others: the largest first, then each time the one farthest from those chosen.

    A history is told by the largest, the smallest and the last factor of each case.
    """
    told = np.concatenate([factors.max(axis=1), factors.min(axis=1), factors[:, -1]], axis=1)
    told = told / np.maximum(np.abs(told).max(axis=0), 1e-300)
    chosen = [int(np.linalg.norm(told, axis=1).argmax())]
    distance = np.linalg.norm(told - told[chosen[0]], axis=1)
    while len(chosen) < min(count, len(factors)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(told - told[chosen[-1]], axis=1))
    return np.array(sorted(set(chosen)))


def plastic_snapshots(
    anchor: ElasticAnchor,
    factors: FloatArray,
    coordinates: FloatArray,
    reduced: ReducedAnchor,
    settings: ReducedSettings,
) -> Floats:
    """Deviators of the plastic strain of some histories at some steps, by the law along cases and modes [S, 5, A]."""
    strain = np.concatenate([field[:, reduced.points] for field in (anchor.strain, reduced.strain)], axis=-1)
    path = np.concatenate([factors, coordinates], axis=-1)
    return snapshots_along(strain, path, anchor.system.material, settings.snapshot_steps)


def _orthonormal(system: ElasticSystem, known: FloatArray, added: FloatArray) -> FloatArray:
    """Known modes and what is new in the added ones, orthonormal in energy [n, J]; the known ones stay as they are."""
    for _ in range(2):  # once more takes away what rounding left
        added = added - known @ (known.T @ (system.stiffness @ added))
        gram = added.T @ (system.stiffness @ added)
        scale = 1 / np.sqrt(np.maximum(gram.diagonal(), 1e-300))
        energy, mixing = np.linalg.eigh(gram * scale[:, None] * scale)
        new = energy > _NEW_DIRECTION * energy[-1]
        among = mixing[:, new] / np.sqrt(energy[new])
        # Modes that are orthonormal already stay as they are: where energies are equal, rounding alone would turn them.
        added = (added * scale) @ (among @ mixing.T if new.all() else among)
    return np.concatenate([known, added], axis=1)
