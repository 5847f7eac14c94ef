"""How much of a load increment a history still carries: halved increments, and what counts as plastic collapse.

Shape letters: P quadrature points, K load cases, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.errors import ConvergenceError
from surrogate.fields import Collapse, FloatArray
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.newton import Iterate, NewtonFailure, Tangent, full_newton
from surrogate.physics.recorder import weighted_quantile
from surrogate.physics.solver_settings import SolverSettings

# An imbalance this small is round-off: the tolerance is out of reach, not the load.
_ROUND_OFF = 1e-9
_NO_EQUILIBRIUM = "no equilibrium beyond this load"


@dataclass(frozen=True)
class Increment:
    """A step of one history.

    Attributes:
        name: name of the history.
        step: index of the step.
        previous: load factors at its start [K].
        factors: load factors at its end [K].
        reference: largest norm of the history's applied nodal forces, N.
    """

    name: str
    step: int
    previous: FloatArray
    factors: FloatArray
    reference: float

    def at(self, fraction: float) -> FloatArray:
        """Load factors where a share of the increment is applied [K]."""
        return self.previous + fraction * (self.factors - self.previous)

    def collapse(self, anchor: ElasticAnchor, fraction: float, reason: str) -> Collapse:
        """The collapse after a share of the increment."""
        carried = self.at(fraction)
        level = float(np.linalg.norm(anchor.forces @ carried)) / self.reference
        return Collapse(self.step, fraction, reason, tuple(carried.tolist()), level)


def carry(
    anchor: ElasticAnchor, increment: Increment, start: Iterate, settings: SolverSettings
) -> tuple[Iterate, Collapse | None]:
    """Full Newton from the last state in equilibrium, halving the increment where it fails.

    The share that is carried is found from below: each of its parts ended in equilibrium within the limits, and one
    smallest part more did not.

    Returns:
        The state at the end of the increment; or the last state in equilibrium, and the collapse.

    Raises:
        ConvergenceError: no equilibrium although nothing yields, or the tolerance is below the round-off.
    """
    done, share, iterate, tangent = 0.0, 1.0, start, Tangent(anchor)
    smallest = 0.5**settings.halvings
    while done < 1.0:
        guess = iterate.unknowns + anchor.unknowns @ (share * (increment.factors - increment.previous))
        target = increment.at(done + share)
        attempt = full_newton(anchor, target, guess, iterate.state, increment.reference, settings, tangent)
        reason = _NO_EQUILIBRIUM if isinstance(attempt, NewtonFailure) else limit_passed(anchor, attempt, settings)
        if isinstance(attempt, Iterate) and reason is None:
            iterate, done = attempt, done + share
            share = min(share, 1.0 - done)
            continue
        share /= 2
        if share < smallest:
            if isinstance(attempt, NewtonFailure):
                _refuse_without_flow(attempt, increment, settings)
            return iterate, increment.collapse(anchor, done, reason or _NO_EQUILIBRIUM)
    return iterate, None


def _refuse_without_flow(failure: NewtonFailure, increment: Increment, settings: SolverSettings) -> None:
    if failure.flowing and failure.residual > _ROUND_OFF:
        return
    why = "for its round-off" if failure.residual <= _ROUND_OFF else "although nothing yields"
    raise ConvergenceError(
        f"step {increment.step + 1} of history {increment.name!r} did not converge {why}: the imbalance stays at "
        f"{failure.residual:.1e} of the load, the tolerance is {settings.tolerance:.1e}; raise the tolerance, or look "
        "for slivers in the mesh and for supports that barely hold the part"
    )


def limit_passed(anchor: ElasticAnchor, iterate: Iterate, settings: SolverSettings) -> str | None:
    """The limit of small-strain theory that a state of one history is beyond, in words."""
    system, equivalent = anchor.system, iterate.state.equivalent
    most = equivalent.max()
    if most <= 0:
        return None
    if most > settings.collapse_plastic_strain:
        level = weighted_quantile(equivalent, system.volumes.ravel(), 0.999)
        if level > settings.collapse_plastic_strain:
            return f"plastic strain {level:.2f} at the 99.9 percentile of the volume, over small-strain theory"
    largest = float(np.sqrt((system.displacement(iterate.unknowns) ** 2).sum(axis=-1).max()))
    if largest > settings.collapse_displacement * max(system.mesh.size):
        return f"displacement {largest:.3g} m, over {settings.collapse_displacement:.0%} of the part's size"
    return None
