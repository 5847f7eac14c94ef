"""What a campaign leaves on disk beside its simulations: outcomes, the index, and what both say to people."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from surrogate.data.dataset import list_simulations
from surrogate.data.sample_outcome import SampleOutcome, stored_outcome
from surrogate.data.simulation_file import load_simulation, sample_name
from surrogate.data.splits import split_of

Outcomes = Mapping[tuple[str, int], SampleOutcome]


@dataclass(frozen=True)
class CampaignProgress:
    """Where a campaign stands.

    Attributes:
        done: samples stored or rejected, earlier runs included.
        total: samples in all.
        stored: of the done ones.
        seconds_left: estimate, None before the first sample.
        last: the sample that was finished last.
    """

    done: int
    total: int
    stored: int
    seconds_left: float | None
    last: SampleOutcome


@dataclass(frozen=True)
class CampaignSummary:
    """What a campaign holds.

    Attributes:
        directory: where.
        stored: simulations.
        rejected: samples without a simulation, by reason.
        coarse: stored simulations with a coarse mesh.
        coarse_failed: stored simulations whose coarse mesh failed.
        histories: stored in all.
        left_out_histories: of the stored samples, by reason.
        bytes: on disk.
        seconds: of this run, wall clock.
        sample_seconds: median time of a sample of this run; 0 where none ran.
        outcomes: of all samples, earlier runs included.
    """

    directory: Path
    stored: int
    rejected: dict[str, int]
    coarse: int
    coarse_failed: int
    histories: int
    left_out_histories: dict[str, int]
    bytes: int
    seconds: float
    sample_seconds: float
    outcomes: tuple[SampleOutcome, ...] = field(repr=False)


def write_whole(path: Path, text: str) -> None:
    """Writes a text under a temporary name and renames it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    os.replace(temporary, path)


def remember(outcome: SampleOutcome, directory: Path) -> None:
    """Keeps an outcome for the next run and for the index."""
    folder = directory / "outcomes"
    folder.mkdir(exist_ok=True)
    write_whole(folder / f"{outcome.family}-{outcome.seed:06d}.json", json.dumps(asdict(outcome)))


def read_outcomes(directory: Path) -> dict[tuple[str, int], SampleOutcome]:
    """Outcomes of the simulations and of the rejects on disk.

    A simulation that was stored just before the campaign died has no outcome beside it: the file itself tells.
    """
    outcomes = {}
    for path in sorted((directory / "outcomes").glob("*.json")):
        outcome = SampleOutcome(**json.loads(path.read_text()))
        if outcome.reason or (directory / sample_name(outcome.family, outcome.seed)).exists():
            outcomes[outcome.family, outcome.seed] = outcome
    for entry in list_simulations(directory):
        if (entry.family, entry.seed) not in outcomes:
            outcomes[entry.family, entry.seed] = stored_outcome(load_simulation(entry.path), entry.path)
    return outcomes


def write_index(known: Outcomes, directory: Path) -> None:
    """One row a sample: its outcome, its split, its file."""
    rows = []
    for (family, seed), outcome in sorted(known.items()):
        file = "" if outcome.reason else sample_name(family, seed)
        rows.append({**asdict(outcome), "split": split_of(family, seed), "file": file})
    if not rows:
        return
    temporary = directory / f".index.{os.getpid()}.part"
    pq.write_table(pa.Table.from_pylist(rows), temporary)
    os.replace(temporary, directory / "index.parquet")


def summarise(directory: Path, known: Outcomes, seconds: float, durations: list[float]) -> CampaignSummary:
    """What a campaign holds, from all its outcomes, the seconds of this run and those of its samples."""
    stored = [outcome for outcome in known.values() if not outcome.reason]
    left_out = {
        "collapsed": sum(outcome.collapsed for outcome in stored),
        "not converged": sum(outcome.not_converged for outcome in stored),
    }
    return CampaignSummary(
        directory=directory,
        stored=len(stored),
        rejected=dict(Counter(outcome.reason for outcome in known.values() if outcome.reason)),
        coarse=sum(outcome.coarse for outcome in stored),
        coarse_failed=sum(bool(outcome.coarse_failure) for outcome in stored),
        histories=sum(outcome.histories for outcome in stored),
        left_out_histories=left_out,
        bytes=sum(outcome.bytes for outcome in stored),
        seconds=seconds,
        sample_seconds=sorted(durations)[len(durations) // 2] if durations else 0.0,
        outcomes=tuple(known.values()),
    )


def progress_line(state: CampaignProgress) -> str:
    """One line about the last sample and the time left."""
    last, left = state.last, state.seconds_left
    result = last.reason or f"{last.histories} histories, {last.yielded_share:.1%} yielded"
    remaining = "" if left is None else f", {left / 60:.0f} min left"
    return f"{state.done}/{state.total} {last.family} {last.seed}: {result}, {last.seconds:.1f} s{remaining}"


def summary_lines(summary: CampaignSummary) -> str:
    """What a campaign holds, for people."""
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.rejected.items())) or "none"
    left_out = ", ".join(f"{count} {reason}" for reason, count in summary.left_out_histories.items())
    return (
        f"{summary.stored} parts with {summary.histories} histories, {summary.bytes / 1e9:.2f} GB in "
        f"{summary.directory}; {summary.coarse} with a coarse pair, {summary.coarse_failed} pairs failed\n"
        f"rejected parts: {rejected}; histories left out of stored parts: {left_out}\n"
        f"{summary.seconds:.0f} s, median {summary.sample_seconds:.1f} s a part"
    )
