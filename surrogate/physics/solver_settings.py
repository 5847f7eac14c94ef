"""How hard the reference solver tries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# Called with (stage, share done).
Progress = Callable[[str, float], None]
SolverName = Literal["own", "calculix"]


@dataclass(frozen=True)
class SolverSettings:
    """How hard the reference tries.

    Attributes:
        tolerance: nodal force imbalance over the largest applied nodal force norm of the history.
        modified_iterations: back-substitutions with the elastic factor before full Newton takes over.
        newton_iterations: tangent factorisations a step before the increment is halved.
        halvings: how often an increment may be halved; a collapse is told to this power of a half of its step.
        stop_after_modified: accept the last modified iterate whatever its residual (the classical "k passes").
        collapse_plastic_strain: limit on the volume-weighted 99.9 percentile of the plastic strain.
        collapse_displacement: limit on the displacement over the part's size.
        stored_steps: store every step if there are no more than this in all, else the peak and last of each history.
        block_bytes: memory that the plastic states of one block of histories may take.
    """

    tolerance: float = 1e-6
    modified_iterations: int = 30
    newton_iterations: int = 12
    halvings: int = 6
    stop_after_modified: bool = False
    collapse_plastic_strain: float = 0.2
    collapse_displacement: float = 0.1
    stored_steps: int = 64
    block_bytes: int = 200_000_000
