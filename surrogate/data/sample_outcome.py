"""What became of a sample: one row of a campaign's index."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from surrogate.data.drawn_loads import load_kind
from surrogate.data.drawn_material import hardening_kind
from surrogate.data.simulate import RejectedSampleError
from surrogate.data.simulation_file import Simulation
from surrogate.errors import GeometryError, InfrastructureError, ProblemError, SolveError, SurrogateError

# Outcomes that may have come from outside (a killed process, a full machine): such a sample is tried again.
CRASHED, MESHER_STOPPED = "crashed", "mesher stopped"
TRIED_AGAIN = (CRASHED, MESHER_STOPPED)
# The first class that fits names the reason.
_REASONS: tuple[tuple[type[SurrogateError], str], ...] = (
    (RejectedSampleError, "histories without answer"),
    (GeometryError, "mesh failed"),
    (InfrastructureError, MESHER_STOPPED),
    (SolveError, "not solved"),
    (ProblemError, "problem refused"),
)


@dataclass(frozen=True)
class SampleOutcome:
    """What became of a sample.

    Attributes:
        family: its family.
        seed: its seed.
        reason: why it was rejected in a few words, empty where it was stored.
        detail: the message behind the reason.
        alloy: of the library.
        hardening: kind of its law.
        load_kinds: of all load cases, sorted, joined by commas.
        history_kinds: of the stored histories, in their order, joined by commas.
        load_cases: K.
        size_m: largest extent of the part, m.
        points: of its mesh.
        cells: of its mesh.
        histories: stored.
        collapsed: histories left out because of plastic collapse.
        not_converged: histories left out because the solver gave up.
        yielded_share: largest yielded volume fraction of its histories.
        plastic_strain: largest equivalent plastic strain.
        residual: largest equilibrium residual.
        energy_imbalance: largest of its histories.
        coarse: whether a coarse mesh is stored beside it.
        coarse_failure: why there is none although the sample belongs to the share with one.
        mesh_s: seconds of meshing.
        draw_s: seconds of drawing, factoring and scaling.
        solve_s: seconds of the histories.
        gather_s: seconds of gathering the fields, the coarse mesh's included.
        write_s: seconds of writing the file.
        seconds: spent on it in all.
        bytes: of its file.
    """

    family: str
    seed: int
    reason: str = ""
    detail: str = ""
    alloy: str = ""
    hardening: str = ""
    load_kinds: str = ""
    history_kinds: str = ""
    load_cases: int = 0
    size_m: float = 0.0
    points: int = 0
    cells: int = 0
    histories: int = 0
    collapsed: int = 0
    not_converged: int = 0
    yielded_share: float = 0.0
    plastic_strain: float = 0.0
    residual: float = 0.0
    energy_imbalance: float = 0.0
    coarse: bool = False
    coarse_failure: str = ""
    mesh_s: float = 0.0
    draw_s: float = 0.0
    solve_s: float = 0.0
    gather_s: float = 0.0
    write_s: float = 0.0
    seconds: float = 0.0
    bytes: int = 0


def rejected_outcome(family: str, seed: int, error: SurrogateError, seconds: float) -> SampleOutcome:
    """The outcome of a sample that ended in an error meant for people."""
    reason = next((words for kind, words in _REASONS if isinstance(error, kind)), "problem refused")
    return SampleOutcome(family, seed, reason, str(error), seconds=seconds)


def stored_outcome(
    simulation: Simulation, path: Path, seconds: float = 0.0, stages: Mapping[str, float] | None = None
) -> SampleOutcome:
    """The outcome of a simulation that lies in a file; its times are zero where nobody measured them."""
    problem, scalars, stages = simulation.problem, simulation.scalars, stages or {}
    return SampleOutcome(
        family=simulation.family,
        seed=simulation.seed,
        alloy=problem.material.name.removesuffix(", varied"),
        hardening=hardening_kind(problem.material.hardening),
        load_kinds=",".join(sorted({load_kind(load) for case in problem.load_cases for load in case.loads})),
        history_kinds=",".join(history.name.split(" ", 1)[1] for history in problem.load_histories),
        load_cases=len(problem.load_cases),
        size_m=max(problem.mesh.size),
        points=len(problem.mesh.points),
        cells=len(problem.mesh.cells),
        histories=simulation.history_count,
        collapsed=round(simulation.statistics.get("rejected: collapsed", 0)),
        not_converged=round(simulation.statistics.get("rejected: not converged", 0)),
        yielded_share=float(scalars.yielded_volume_fraction.max()),
        plastic_strain=float(scalars.peak_plastic_strain.max()),
        residual=float(scalars.equilibrium_residual.max()),
        energy_imbalance=float(simulation.balance.energy_imbalance.max()),
        coarse=simulation.coarse is not None,
        coarse_failure=simulation.coarse_failure,
        mesh_s=stages.get("mesh", 0.0),
        draw_s=stages.get("draw", 0.0),
        solve_s=stages.get("solve", 0.0),
        gather_s=stages.get("gather", 0.0),
        write_s=stages.get("write", 0.0),
        seconds=seconds,
        bytes=path.stat().st_size,
    )
