"""Few quadrature points with weights of their own, which integrate what a few modes ask for: empirical cubature.

A reduced problem asks its points for one number a mode, the work of the plastic strain on the stress of the mode.
Fields of plastic strain that representative histories go through (snapshots) tell what these numbers look like;
non-negative weights at few points are then fitted to their integrals. Weights that are not negative keep the tangent
symmetric and the flow dissipative.
Sources: Hernandez, Caicedo and Ferrer, Comput. Methods Appl. Mech. Eng. 313 (2017); Farhat, Chapman and Avery, Int. J.
Numer. Methods Eng. 102 (2015), who fit by the non-negative least squares of Lawson and Hanson.
Shape letters: A points, J modes, S snapshots, E equations, C candidates, M points chosen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.deviatoric import strain_deviator
from surrogate.physics.galerkin import ReducedProblem

# Of single or double precision: fits to 1e-3 need no more than single.
Floats = NDArray[np.floating]

# Snapshots smaller than this share of the largest are known as well as this one, not better.
_FLOOR = 0.05
_SEED = 0


@dataclass(frozen=True)
class CubatureSettings:
    """How well the integrals are met.

    Attributes:
        tolerance: what is left of the integrals of the snapshots, relative.
        candidates: points among which is chosen, at most.
        points: points that are chosen, at most.
    """

    tolerance: float = 4e-3
    candidates: int = 2000
    points: int = 600


@dataclass(frozen=True, eq=False)
class Cubature:
    """The chosen points.

    Attributes:
        points: their indices [M].
        multiplier: what the weight of each is multiplied by [M].
        error: what is left of the integrals, relative.
    """

    points: IntArray
    multiplier: FloatArray
    error: float


def few_points(problem: ReducedProblem, plastic: Floats, settings: CubatureSettings | None = None) -> Cubature:
    """Points and weights that integrate a reduced problem for fields of plastic strain like those of snapshots.

    Args:
        problem: with all points.
        plastic: deviators of the plastic strain of snapshots [S, 5, A].
        settings: how well.
    """
    settings = settings or CubatureSettings()
    testing = (strain_deviator(problem.mode_strain) * problem.weight[:, None]).astype(np.float32)  # [5, A, J]
    totals = plastic.reshape(len(plastic), -1) @ testing.reshape(-1, testing.shape[2])  # [S, J]
    size = np.linalg.norm(totals, axis=1)
    scale = 1 / np.maximum(size, max(_FLOOR * float(size.max(initial=0.0)), 1e-300))
    chosen = _candidates(plastic, testing, scale, settings.candidates)
    fields = plastic[:, :, chosen] * scale[:, None, None].astype(np.float32)
    # Snapshots mixed by an orthogonal matrix pose the same least squares; the mixtures that matter are few.
    mixing = _main_mixtures(fields * np.sqrt(problem.weight[chosen]), settings.tolerance)
    fields = np.tensordot(mixing, fields, axes=1).transpose(2, 0, 1)  # [C, S', 5]
    values = (fields @ testing[:, chosen].transpose(1, 0, 2)).reshape(len(chosen), -1)
    fitted = sparse_weights(values, (mixing @ (totals * scale[:, None])).ravel(), settings)
    return Cubature(chosen[fitted.points], fitted.multiplier, fitted.error)


def _main_mixtures(fields: Floats, tolerance: float) -> Floats:
    """Orthonormal mixtures [S', S] of snapshots [S, 5, C] that leave a small share of the tolerance of them out."""
    rows = fields.reshape(len(fields), -1)
    energy, mixing = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    kept = np.cumsum(np.maximum(energy, 0.0)) > (0.3 * tolerance) ** 2 * energy.sum()
    return np.asarray(mixing[:, kept].T, dtype=np.float32)


def at_points(problem: ReducedProblem, cubature: Cubature) -> ReducedProblem:
    """The problem integrated by a cubature."""
    at = cubature.points
    weight = problem.weight[at] * cubature.multiplier
    return ReducedProblem(problem.case_strain[:, at], problem.mode_strain[:, at], weight, problem.material)


def sparse_weights(values: Floats, totals: Floats, settings: CubatureSettings) -> Cubature:
    """Non-negative weights of few points that meet given integrals, by an active set that grows greedily.

    Args:
        values: what each point adds to each integral at weight one [C, E].
        totals: the integrals [E].
        settings: how well.
    """
    norm = np.linalg.norm(values, axis=1).astype(np.float64)
    usable = norm > 1e-6 * norm.max(initial=0.0)
    target = max(float(np.linalg.norm(totals)), 1e-300)
    points: IntArray = np.zeros(0, dtype=np.int64)
    weights = np.zeros(0)
    residual, gram = totals.astype(np.float64), np.zeros((0, 0))
    best = Cubature(points, weights, 1.0)
    while best.error > settings.tolerance and len(points) < settings.points:
        gain = np.where(usable, (values @ residual.astype(np.float32)) / np.maximum(norm, 1e-300), -np.inf)
        gain[points] = -np.inf
        added = np.argsort(gain)[::-1][: max(1, min(64, len(points) // 6))]
        added = added[gain[added] > 0]
        if not len(added):
            break
        gram = _grown(gram, values[points], values[added])
        points = np.append(points, added)
        points, weights, gram = _positive(points, gram, values[points].astype(np.float64) @ totals)
        # A point that was thrown out at once would come back for ever.
        usable[np.setdiff1d(added, points)] = False
        residual = totals - weights @ values[points]
        error = float(np.linalg.norm(residual)) / target
        if error < best.error:
            best = Cubature(points, weights, error)
    return best


def _grown(gram: FloatArray, held: Floats, added: Floats) -> FloatArray:
    """The products of all chosen rows, from those of the rows held before."""
    across = held.astype(np.float64) @ added.T.astype(np.float64)
    own = added.astype(np.float64) @ added.T.astype(np.float64)
    return np.block([[gram, across], [across.T, own]])


def _positive(points: IntArray, gram: FloatArray, right: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Least squares over the chosen points, those of negative weight thrown out until none is left."""
    while len(points):
        scale = 1 / np.sqrt(gram.diagonal())
        scaled = gram * scale[:, None] * scale + 1e-10 * np.eye(len(points))
        weights = scale * cho_solve(cho_factor(scaled, overwrite_a=True), scale * right)
        kept = weights > 0
        if kept.all():
            return points, weights, gram
        points, gram, right = points[kept], gram[np.ix_(kept, kept)], right[kept]
    return points, np.zeros(0), gram


def _candidates(plastic: Floats, testing: Floats, scale: Floats, count: int) -> IntArray:
    """Points drawn by what they add to the integrals, without repetition [C]."""
    flow = sum((field**2).sum(axis=0) * factor**2 for field, factor in zip(plastic, scale, strict=True))
    share = np.sqrt(flow * (testing**2).sum(axis=(0, 2))).astype(np.float64)
    flowing = np.flatnonzero(share > 1e-9 * share.max(initial=0.0))
    if len(flowing) <= count:
        return flowing
    # The largest of u^(1/share) with u uniform: Efraimidis and Spirakis, Inf. Process. Lett. 97 (2006).
    drawn = np.log(np.random.default_rng(_SEED).random(len(flowing))) / share[flowing]
    return np.sort(flowing[np.argsort(drawn)[::-1][:count]])
