"""Solves many samples into a directory: in parallel, resumable after any interruption.

A sample is done when its file exists under its final name; a reject is remembered by a small file beside it. The index
(`index.parquet`) is derived from both and can be rebuilt at any time.
"""

import argparse
import fcntl
import json
import os
import queue
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from surrogate.data.dataset import list_simulations
from surrogate.data.families import FAMILIES, family_named
from surrogate.data.sample_process import SampleOutcome, SampleProcess, stored_outcome
from surrogate.data.simulation_file import SCHEMA_VERSION, load_simulation, sample_name
from surrogate.data.splits import split_of
from surrogate.errors import InfrastructureError, InputError

SAMPLE_SECONDS = 180.0
BYTES_PER_STEP = 75_000
INDEX_EVERY = 25


@dataclass(frozen=True)
class CampaignConfig:
    """What a campaign solves.

    Attributes:
        name: of the campaign, and of its directory by default.
        directory: where simulations go; None for `~/.cache/surrogate/campaigns/<name>`.
        families: names, in turn; all families by default.
        part_count: samples that are tried; rejects count.
        first_seed: seed of each family's first sample; the next ones follow.
        histories: H drawn for a part.
        steps: T of a history.
        workers: processes, of one thread each.
        sample_seconds: a sample is killed after this time, s.
    """

    name: str = "default"
    directory: Path | None = None
    families: tuple[str, ...] = tuple(family.name for family in FAMILIES)
    part_count: int = 400
    first_seed: int = 0
    histories: int = 4
    steps: int = 12
    workers: int = 2
    sample_seconds: float = SAMPLE_SECONDS

    def __post_init__(self) -> None:
        for family in self.families:
            family_named(family)
        if self.part_count < 1 or self.workers < 1 or self.histories < 1 or not self.families:
            raise InputError("part_count, workers, histories and families must not be empty or below one")

    @property
    def target(self) -> Path:
        """The directory in use."""
        return self.directory or Path.home() / ".cache" / "surrogate" / "campaigns" / self.name

    def samples(self) -> Iterator[tuple[str, int]]:
        """(family, seed) of every sample, the families in turn."""
        for number in range(self.part_count):
            turn, place = divmod(number, len(self.families))
            yield self.families[place], self.first_seed + turn


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
    histories: int
    left_out_histories: dict[str, int]
    bytes: int
    seconds: float
    sample_seconds: float
    outcomes: tuple[SampleOutcome, ...] = field(repr=False)


Report = Callable[[CampaignProgress], None]


def expected_bytes(config: CampaignConfig) -> int:
    """Disk that the whole campaign will take, about."""
    return config.part_count * config.histories * config.steps * BYTES_PER_STEP


def run_campaign(config: CampaignConfig, progress: Report = lambda state: None) -> CampaignSummary:
    """Solves what is not done yet; may be killed at any time and called again.

    Raises:
        InputError: the directory holds a campaign of other histories, steps or schema, or one is running there.
        InfrastructureError: not enough disk.
    """
    directory, started = config.target, time.perf_counter()
    directory.mkdir(parents=True, exist_ok=True)
    with _only_one(directory):
        _settle_settings(config, directory)
        _remove_unfinished(directory)
        known = read_outcomes(directory)
        asked = set(config.samples())
        waiting = [sample for sample in config.samples() if sample not in known]
        _check_disk(config, directory, len(waiting))
        durations = []
        run = CampaignProgress(len(asked) - len(waiting), len(asked), 0, None, SampleOutcome("", 0))
        for outcome in _run_samples(config, waiting):
            known[outcome.family, outcome.seed] = outcome
            _remember(outcome, directory)
            durations.append(outcome.seconds)
            rate = (time.perf_counter() - started) / len(durations)
            left = rate * (len(waiting) - len(durations))
            stored = run.stored + (not outcome.reason)
            run = CampaignProgress(run.done + 1, run.total, stored, left, outcome)
            progress(run)
            if len(durations) % INDEX_EVERY == 0:
                _write_index(known, directory)
        _write_index(known, directory)
    return _summary(directory, known, time.perf_counter() - started, durations)


def _run_samples(config: CampaignConfig, samples: list[tuple[str, int]]) -> Iterator[SampleOutcome]:
    """Outcomes as they come, from `workers` processes."""
    idle: queue.SimpleQueue[SampleProcess] = queue.SimpleQueue()
    processes = [SampleProcess(config.target, config.histories, config.steps) for _ in range(config.workers)]
    for process in processes:
        idle.put(process)
    stopping = threading.Event()

    def run(sample: tuple[str, int]) -> SampleOutcome | None:
        if stopping.is_set():
            return None
        process = idle.get()
        try:
            return process.run(*sample, timeout_s=config.sample_seconds)
        finally:
            idle.put(process)

    pool = ThreadPoolExecutor(config.workers)
    try:
        for future in as_completed([pool.submit(run, sample) for sample in samples]):
            outcome = future.result()
            if outcome is not None:
                yield outcome
    finally:
        stopping.set()
        for process in processes:
            process.close()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Holds the directory's lock, which the system drops when the process ends, however it ends."""
    with (directory / "campaign.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"a campaign is running in {directory}; wait for it or choose another name") from None
        yield


def _settle_settings(config: CampaignConfig, directory: Path) -> None:
    """What must not differ between the samples of a directory; parts, families and workers may grow."""
    settings = {"schema": SCHEMA_VERSION, "histories": config.histories, "steps": config.steps}
    path = directory / "campaign.json"
    if not path.exists():
        _write_whole(path, json.dumps(settings))
        return
    held = json.loads(path.read_text())
    if held != settings:
        raise InputError(f"{directory} holds a campaign of {held}, asked for {settings}; choose another name")


def _remove_unfinished(directory: Path) -> None:
    for path in (*directory.glob(".*.part"), *directory.glob("outcomes/.*.part")):
        path.unlink(missing_ok=True)


def _check_disk(config: CampaignConfig, directory: Path, waiting: int) -> None:
    needed = expected_bytes(config) * waiting // config.part_count
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise InfrastructureError(
            f"the campaign needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; ask for fewer parts"
        )


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text)
    os.replace(temporary, path)


def _remember(outcome: SampleOutcome, directory: Path) -> None:
    folder = directory / "outcomes"
    folder.mkdir(exist_ok=True)
    _write_whole(folder / f"{outcome.family}-{outcome.seed:06d}.json", json.dumps(asdict(outcome)))


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
            simulation = load_simulation(entry.path)
            seconds = sum(value for name, value in simulation.statistics.items() if name.endswith("_s"))
            outcomes[entry.family, entry.seed] = stored_outcome(simulation, entry.path, seconds)
    return outcomes


def _write_index(known: dict[tuple[str, int], SampleOutcome], directory: Path) -> None:
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


def _summary(
    directory: Path, known: dict[tuple[str, int], SampleOutcome], seconds: float, durations: list[float]
) -> CampaignSummary:
    stored = [outcome for outcome in known.values() if not outcome.reason]
    left_out = {
        "collapsed": sum(outcome.collapsed for outcome in stored),
        "not converged": sum(outcome.not_converged for outcome in stored),
    }
    return CampaignSummary(
        directory=directory,
        stored=len(stored),
        rejected=dict(Counter(outcome.reason for outcome in known.values() if outcome.reason)),
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


def announcement(config: CampaignConfig) -> str:
    """What a campaign will do and take, for people, before it starts."""
    return (
        f"{config.part_count} parts of {len(config.families)} families, {config.histories} histories of "
        f"{config.steps} steps each, {config.workers} workers; about {expected_bytes(config) / 1e9:.2f} GB in "
        f"{config.target}"
    )


def summary_lines(summary: CampaignSummary) -> str:
    """What a campaign holds, for people."""
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(summary.rejected.items())) or "none"
    left_out = ", ".join(f"{count} {reason}" for reason, count in summary.left_out_histories.items())
    return (
        f"{summary.stored} parts with {summary.histories} histories, {summary.bytes / 1e9:.2f} GB in "
        f"{summary.directory}\nrejected parts: {rejected}; histories left out of stored parts: {left_out}\n"
        f"{summary.seconds:.0f} s, median {summary.sample_seconds:.1f} s a part"
    )


def _main() -> None:
    defaults = CampaignConfig()
    parser = argparse.ArgumentParser(prog="python -m surrogate.data.campaign", description=__doc__)
    parser.add_argument("--name", default=defaults.name)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--parts", type=int, default=defaults.part_count)
    parser.add_argument("--families", nargs="+", default=list(defaults.families))
    parser.add_argument("--first-seed", type=int, default=defaults.first_seed)
    parser.add_argument("--histories", type=int, default=defaults.histories)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--workers", type=int, default=defaults.workers)
    given = parser.parse_args()
    config = CampaignConfig(
        name=given.name,
        directory=given.directory,
        families=tuple(given.families),
        part_count=given.parts,
        first_seed=given.first_seed,
        histories=given.histories,
        steps=given.steps,
        workers=given.workers,
    )
    print(announcement(config), flush=True)
    summary = run_campaign(config, lambda state: print(progress_line(state), flush=True))
    print(summary_lines(summary))


if __name__ == "__main__":
    _main()
