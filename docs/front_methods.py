"""The classical methods of the accuracy-time front, none charged for more than the peak plastic strain asks of it.

All start from the elastic anchor. "k passes" is modified Newton with the elastic factor and Anderson acceleration,
stopped after k back-substitutions a step; a "jump" solves only at the turning points of a history, where its factors
change direction. Histories go in blocks on both cores.
Shape letters: H histories, T steps, W turning points, K load cases, P quadrature points, Y hottest points.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from front_hottest import RULES, hottest_points, jumping, padded

from surrogate.data.simulate import LABEL_SETTINGS
from surrogate.fields import FloatArray
from surrogate.physics.deviatoric import deviatoric_path
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.galerkin import ReducedProblem, integrate
from surrogate.physics.hottest import reduced_peaks
from surrogate.physics.newton import modified_newton
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory
from surrogate.physics.recorder import weighted_quantile
from surrogate.physics.reduced import plain_rounds, points_near_yield, reduced_anchor, representative_histories
from surrogate.physics.solver import solve_histories
from surrogate.physics.solver_settings import SolverSettings

# Memory of the plastic states of a block of histories, bytes; two blocks are in work at once.
_BLOCK_BYTES = 60_000_000


@dataclass(frozen=True)
class Strains:
    """What a method says of the plastic strain of each history at its end, where it is largest.

    Attributes:
        peak: largest equivalent plastic strain of the part [H], 1.
        p999: its 99.9 percentile over the volume [H], 1; None where the method does not look at the whole part.
        once_s: seconds that do not grow with the number of histories.
    """

    peak: FloatArray
    p999: FloatArray | None = None
    once_s: float = 0.0


@dataclass(frozen=True)
class Timed:
    """A method's strains and what they took.

    Attributes:
        found: the strains.
        points: of the mesh.
        once_s: wall seconds that do not grow with the number of histories.
        rest_s: wall seconds spent on the histories.
        once_cpu_s: processor seconds of the first.
        rest_cpu_s: processor seconds of the second.
    """

    found: Strains
    points: int
    once_s: float
    rest_s: float
    once_cpu_s: float
    rest_cpu_s: float


def hottest_cells(anchor: ElasticAnchor, factors: FloatArray, rule: str, factor: float) -> Strains:
    """A law at the few points that each history strains most elastically, its plastic strain times one factor."""
    turned = padded(jumping(factors))
    points = hottest_points(anchor.stress, turned)
    return Strains(factor * RULES[rule](anchor.stress[:, points], turned, anchor.system.material))


def full_local(anchor: ElasticAnchor, factors: FloatArray) -> Strains:
    """The local anchor at every point and step; no back-substitution, which would not change the plastic strain."""

    def block(histories: Sequence[FloatArray]) -> FloatArray:
        equivalent = np.zeros(1)
        for state in deviatoric_path(anchor.strain, np.stack(histories), anchor.system.material):
            equivalent = state.equivalent  # [R, P]
        return summary(equivalent.T, anchor)

    return _on_both_cores(block, list(factors), _block_size(anchor.system.volumes.size, len(factors)))


def summary(equivalent: FloatArray, anchor: ElasticAnchor) -> FloatArray:
    """Largest value and 99.9 percentile of a field [P, H] -> [2, H]."""
    volumes = anchor.system.volumes.ravel()
    quantile = [weighted_quantile(column, volumes, 0.999) for column in equivalent.T]
    return np.stack([equivalent.max(axis=0), np.array(quantile)])


def passes(
    anchor: ElasticAnchor, histories: Sequence[FloatArray], count: int, tolerance: float = LABEL_SETTINGS.tolerance
) -> Strains:
    """So many equilibrium passes at each step of each history [T, K]; fewer where the tolerance is met before."""
    settings = SolverSettings(tolerance=tolerance, modified_iterations=count, stop_after_modified=True)

    def block(chosen: Sequence[FloatArray]) -> FloatArray:
        return summary(_advanced(anchor, chosen, settings), anchor)

    return _on_both_cores(block, histories, _block_size(anchor.system.volumes.size, len(histories)))


def _advanced(anchor: ElasticAnchor, histories: Sequence[FloatArray], settings: SolverSettings) -> FloatArray:
    """Equivalent plastic strain [P, R] at the end of a block of histories."""
    count = len(histories)
    unknowns, state = np.zeros((len(anchor.unknowns), count)), PlasticState.virgin(anchor.system.volumes.size, count)
    previous = np.zeros((anchor.forces.shape[1], count))
    references = np.array([np.linalg.norm(anchor.forces @ history.T, axis=0).max() for history in histories])
    for step in range(max(map(len, histories))):
        alive = np.array([i for i, history in enumerate(histories) if step < len(history)])
        factors = np.stack([histories[i][step] for i in alive], axis=1)  # [K, R]
        guess = unknowns[:, alive] + anchor.unknowns @ (factors - previous[:, alive])
        before = PlasticState(state.plastic_strain[:, :, alive], state.equivalent[:, alive])
        found = modified_newton(anchor, factors, guess, before, references[alive], settings)
        unknowns[:, alive], previous[:, alive] = found.unknowns, factors
        state.plastic_strain[:, :, alive], state.equivalent[:, alive] = (
            found.state.plastic_strain,
            found.state.equivalent,
        )
    return state.equivalent


def solved(anchor: ElasticAnchor, factors: FloatArray) -> Strains:
    """The reference solver at the tolerance of the training data."""
    settings = replace(LABEL_SETTINGS, stored_steps=0, block_bytes=_BLOCK_BYTES)

    def block(histories: Sequence[FloatArray]) -> FloatArray:
        asked = tuple(LoadHistory(f"{i}", history) for i, history in enumerate(histories))
        found = solve_histories(anchor, asked, settings)
        return summary(np.stack([f.equivalent_plastic_strain[-1].ravel() for f in found], axis=1), anchor)

    return _on_both_cores(block, list(factors), _block_size(anchor.system.volumes.size, len(factors)))


def _block_size(points: int, histories: int) -> int:
    """Histories of a block that fits in memory, and leaves work for both cores."""
    return max(1, min(_BLOCK_BYTES // (points * 8 * 32), -(-histories // 2)))


def _on_both_cores(
    work: Callable[[Sequence[FloatArray]], FloatArray], histories: Sequence[FloatArray], size: int
) -> Strains:
    """Blocks of histories, two at a time; histories of one length together, so that none waits for another."""
    order = sorted(range(len(histories)), key=lambda i: -len(histories[i]))
    blocks = np.array_split(np.array(order), -(-len(order) // size))
    with ThreadPoolExecutor(2) as pool:
        found = np.concatenate(list(pool.map(work, [[histories[i] for i in block] for block in blocks])), axis=1)
    sorted_back = np.empty_like(found)
    sorted_back[:, order] = found
    return Strains(sorted_back[0], sorted_back[1])


def reduced(anchor: ElasticAnchor, histories: Sequence[FloatArray], enrichments: int) -> Strains:
    """The reduced anchor as it is shipped: modes of a few histories, all integrated at few points, read where hot.

    Args:
        anchor: elastic answer to each load case.
        histories: [H, T, K], or their turning points alone.
        enrichments: rounds after the first.
    """
    path = padded(histories)
    modes = reduced_anchor(anchor, path, plain_rounds(enrichments))
    return Strains(reduced_peaks(anchor, path, modes)[:, -1])


def reduced_everywhere(
    anchor: ElasticAnchor, factors: FloatArray, histories: Sequence[FloatArray], enrichments: int
) -> Strains:
    """The reduced anchor integrated and read at every point that may yield.

    Args:
        anchor: elastic answer to each load case.
        factors: of all histories at every step [H, T, K]; the modes are made from a few that span them.
        histories: those that are integrated, each [T, K].
        enrichments: rounds after the first.
    """
    start, settings = time.perf_counter(), plain_rounds(enrichments)
    few = factors[representative_histories(factors, settings.snapshot_histories)]
    modes = reduced_anchor(anchor, few, settings)
    points = points_near_yield(anchor, factors, settings.gate)
    volumes, material = anchor.system.volumes.ravel(), anchor.system.material
    strain = np.concatenate([anchor.strain[:, points], modes.strain[:, points]], axis=-1)
    case_count = anchor.strain.shape[2]
    problem = ReducedProblem(strain[..., :case_count], strain[..., case_count:], volumes[points], material)
    once = time.perf_counter() - start

    def half(chosen: Sequence[FloatArray]) -> FloatArray:
        path = padded(chosen)
        path = np.concatenate([path, integrate(problem, path).coordinates], axis=-1)
        found = []
        for part in np.array_split(path, -(-len(path) // _block_size(len(points), len(path)))):
            everywhere = np.zeros((volumes.size, len(part)))
            for state in deviatoric_path(strain, part, material):
                everywhere[points] = state.equivalent.T
            found.append(summary(everywhere, anchor))
        return np.concatenate(found, axis=1)

    return replace(_on_both_cores(half, histories, -(-len(histories) // 2)), once_s=once)
