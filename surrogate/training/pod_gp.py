"""POD and Gaussian processes on what all parts share: scalars of a history from descriptors of part and load.

POD of fields needs one mesh for all; every part here has its own, so that fields do not apply. What does have a common
axis, the curve of the elastic stress level over the volume and its course over the steps, is reduced by POD; a Gaussian
process with a squared exponential of one length a descriptor reads the coefficients.
Source: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1, equation 5.1.
Shape letters: R rows (histories), F descriptors, Q curve values.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogate.data.simulation_file import Simulation
from surrogate.fields import FloatArray, IntArray
from surrogate.model.anchor_path import elastic_von_mises, elastic_von_mises_squares
from surrogate.physics.invariants import to_first
from surrogate.physics.recorder import weighted_quantiles
from surrogate.physics.tet_element import gradients_and_volumes
from surrogate.training.rival_data import RivalPart, compressed

# Shares of the volume that are less stressed: the curve of the elastic level.
_SHARES = (0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
_JITTER = 1e-6


@dataclass(frozen=True)
class Descriptors:
    """What a process may know of some histories.

    Attributes:
        loads: of mesh, material and loads alone [R, F].
        curves: logarithms of the elastic stress level over the volume and over the steps [R, Q]; needs the anchor.
    """

    loads: FloatArray
    curves: FloatArray


def describe(simulation: Simulation, part: RivalPart, histories: IntArray) -> Descriptors:
    """Descriptors of some histories [R] of a part."""
    problem = simulation.problem
    unit = problem.material.yield_strength_pa
    _, volumes = gradients_and_volumes(problem.mesh.points, problem.mesh.cells)
    stress = np.stack([to_first(case.astype(np.float64)) for case in simulation.elastic_stress], axis=-1)
    form = elastic_von_mises_squares(stress)
    displacement = np.abs(simulation.elastic_displacement).astype(np.float64)
    size = float(np.ptp(problem.mesh.points, axis=0).max())
    loads, curves = [], []
    for history in (problem.load_histories[i] for i in histories):
        level = elastic_von_mises(form, history.factors) / unit  # [T, P]
        over_volume = weighted_quantiles(level.max(axis=0), volumes.ravel(), _SHARES)
        over_steps = level.max(axis=1)
        moved = np.tensordot(np.abs(history.factors[-1]), displacement, axes=1).max() / size
        curves.append(np.log(np.concatenate([over_volume, [level.max()], over_steps, [moved]]) + 1e-3))
        loads.append(_of_loads(part, history.factors))
    return Descriptors(np.stack(loads), np.stack(curves))


def _of_loads(part: RivalPart, factors: FloatArray) -> FloatArray:
    """Second moments, compactness, material, and force and moment now, at most and at least: no elastic answer."""
    path = torch.from_numpy(factors.astype(np.float32)) @ part.case_wrench
    spread = [compressed(w) for state in (path[-1], path.amax(0), path.amin(0)) for w in (state[:3], state[3:])]
    largest = torch.einsum("tk,knc->tnc", torch.from_numpy(factors.astype(np.float32)), part.case_loads)
    shape = part.positions
    moments = torch.linalg.eigvalsh(shape.T @ shape / len(shape))
    box = shape.amax(0) - shape.amin(0)
    size = torch.log1p(1000 * largest.norm(dim=-1).max())[None]
    held = part.node_features[:, [0, 5, 6, 7]].mean(dim=0)
    return torch.cat([moments, box, part.material, held, size, *spread]).double().numpy()


@dataclass(frozen=True)
class Pod:
    """Means and leading modes of rows.

    Attributes:
        mean: [Q].
        modes: orthonormal [Q, M].
    """

    mean: FloatArray
    modes: FloatArray

    def coefficients(self, rows: FloatArray) -> FloatArray:
        """Rows [R, Q] to [R, M]."""
        return np.asarray((rows - self.mean) @ self.modes)


def pod(rows: FloatArray, energy: float = 0.999) -> Pod:
    """The fewest modes that hold this share of the variance of rows [R, Q]."""
    mean = rows.mean(axis=0)
    _, singular, modes = np.linalg.svd(rows - mean, full_matrices=False)
    share = np.cumsum(singular**2) / max(float((singular**2).sum()), 1e-300)
    return Pod(mean, modes[: int(np.searchsorted(share, energy)) + 1].T)


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A fitted process.

    Attributes:
        centre: mean of the descriptors [F].
        spread: their standard deviation [F].
        offset: mean of the target.
        logs: logarithms of the lengths, of the signal's deviation and of the noise's [F + 2].
        known: scaled descriptors [R, F].
        weights: covariance inverse times target [R].
    """

    centre: Tensor
    spread: Tensor
    offset: float
    logs: Tensor
    known: Tensor
    weights: Tensor

    def mean(self, descriptors: FloatArray) -> FloatArray:
        """Predicted mean [R'] at descriptors [R', F]."""
        scaled = (torch.from_numpy(descriptors) - self.centre) / self.spread
        return np.asarray((_covariance(scaled, self.known, self.logs) @ self.weights + self.offset).numpy())


def fit_process(
    descriptors: FloatArray,
    target: FloatArray,
    generator: np.random.Generator,
    *,
    rows: int = 2500,
    tuning_rows: int = 600,
    steps: int = 60,
) -> GaussianProcess:
    """A process on at most `rows` rows, its lengths and noise by maximum likelihood on `tuning_rows` of them.

    Args:
        descriptors: [R, F].
        target: [R].
        generator: draws the rows.
        rows: most that are kept.
        tuning_rows: most that the likelihood sees.
        steps: of Adam on the likelihood.
    """
    chosen = generator.permutation(len(target))[:rows]
    everything = torch.from_numpy(descriptors[chosen]).double()
    centre, spread = everything.mean(dim=0), everything.std(dim=0) + 1e-9
    known, offset = (everything - centre) / spread, float(target[chosen].mean())
    wanted = torch.from_numpy(target[chosen] - offset).double()
    few = slice(0, tuning_rows)
    logs = _start(known.shape[1], float(wanted.std())).requires_grad_(True)
    optimizer = torch.optim.Adam([logs], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(_negative_log_likelihood(known[few], wanted[few], logs))
        optimizer.step()
    found = logs.detach()
    factor = torch.linalg.cholesky(_with_noise(known, found))
    weights = torch.cholesky_solve(wanted[:, None], factor)[:, 0]
    return GaussianProcess(centre, spread, offset, found, known, weights)


def _start(features: int, deviation: float) -> Tensor:
    length = 0.5 * np.log(features) + 0.7
    scale = np.log(deviation + 1e-6)
    return torch.tensor([length] * features + [scale, scale - 1.5], dtype=torch.float64)


def _covariance(left: Tensor, right: Tensor, logs: Tensor) -> Tensor:
    inverse = torch.exp(-logs[:-2])
    distance = torch.cdist(left * inverse, right * inverse, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.exp(2 * logs[-2] - 0.5 * distance.square())


def _with_noise(known: Tensor, logs: Tensor) -> Tensor:
    noise = torch.exp(2 * logs[-1]) + _JITTER * torch.exp(2 * logs[-2])
    return _covariance(known, known, logs) + noise * torch.eye(len(known), dtype=known.dtype)


def _negative_log_likelihood(known: Tensor, target: Tensor, logs: Tensor) -> Tensor:
    factor = torch.linalg.cholesky(_with_noise(known, logs))
    half = torch.linalg.solve_triangular(factor, target[:, None], upper=False)
    return 0.5 * half.square().sum() + factor.diagonal().log().sum()
