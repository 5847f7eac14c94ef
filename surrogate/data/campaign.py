"""Solves many samples into a directory: in parallel, resumable after any interruption.

A sample is done when its file exists under its final name; a reject is remembered by a small file beside it. The index
(`index.parquet`) is derived from both and can be rebuilt at any time.
"""

import fcntl
import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from surrogate.data.campaign_index import (
    CampaignProgress,
    CampaignSummary,
    read_outcomes,
    remember,
    summarise,
    write_index,
    write_whole,
)
from surrogate.data.families import FAMILIES, family_named
from surrogate.data.sample_outcome import TRIED_AGAIN, SampleOutcome
from surrogate.data.sample_process import SampleProcess
from surrogate.data.simulate import SampleSize
from surrogate.data.simulation_file import SCHEMA_VERSION
from surrogate.errors import InfrastructureError, InputError

SAMPLE_SECONDS = 180.0
# A process that died may have been killed from outside; a sample that kills it every time is at fault itself.
ATTEMPTS = 3
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
        coarse_share: share of the parts that get a coarse mesh as well.
        workers: processes, of one thread each.
        sample_seconds: a sample is killed after this time, s.
    """

    name: str = "default"
    directory: Path | None = None
    families: tuple[str, ...] = tuple(family.name for family in FAMILIES)
    part_count: int = 400
    first_seed: int = 0
    histories: int = 4
    steps: int = 20
    coarse_share: float = 0.25
    workers: int = 2
    sample_seconds: float = SAMPLE_SECONDS

    def __post_init__(self) -> None:
        for family in self.families:
            family_named(family)
        if self.part_count < 1 or self.workers < 1 or self.histories < 1 or not self.families:
            raise InputError("part_count, workers, histories and families must not be empty or below one")

        if not 0 <= self.coarse_share <= 1:
            raise InputError(f"coarse_share = {self.coarse_share:g}: give a share between 0 and 1")

    @property
    def size(self) -> SampleSize:
        """What each sample has."""
        return SampleSize(self.histories, self.steps, self.coarse_share)

    @property
    def target(self) -> Path:
        """The directory in use."""
        return self.directory or Path.home() / ".cache" / "surrogate" / "campaigns" / self.name

    def samples(self) -> Iterator[tuple[str, int]]:
        """(family, seed) of every sample, the families in turn."""
        for number in range(self.part_count):
            turn, place = divmod(number, len(self.families))
            yield self.families[place], self.first_seed + turn


Report = Callable[[CampaignProgress], None]


# Means over stored parts of the families, measured: the mesh with its elastic answers, a step of a history, a pair.
_PART_BYTES, _STEP_BYTES, _COARSE_BYTES = 640_000, 16_700, 100_000


def expected_bytes(config: CampaignConfig) -> int:
    """Disk that the whole campaign will take, about."""
    part = _PART_BYTES + config.histories * config.steps * _STEP_BYTES + config.coarse_share * _COARSE_BYTES
    return round(config.part_count * part)


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
            remember(outcome, directory)
            durations.append(outcome.seconds)
            rate = (time.perf_counter() - started) / len(durations)
            left = rate * (len(waiting) - len(durations))
            stored = run.stored + (not outcome.reason)
            run = CampaignProgress(run.done + 1, run.total, stored, left, outcome)
            progress(run)
            if len(durations) % INDEX_EVERY == 0:
                write_index(known, directory)
        write_index(known, directory)
    return summarise(directory, known, time.perf_counter() - started, durations)


def _run_samples(config: CampaignConfig, samples: list[tuple[str, int]]) -> Iterator[SampleOutcome]:
    """Outcomes as they come, from `workers` processes."""
    idle: queue.SimpleQueue[SampleProcess] = queue.SimpleQueue()
    processes = [SampleProcess(config.target, config.size) for _ in range(config.workers)]
    for process in processes:
        idle.put(process)
    stopping = threading.Event()

    def run(sample: tuple[str, int]) -> SampleOutcome | None:
        if stopping.is_set():
            return None
        process = idle.get()
        try:
            for _ in range(ATTEMPTS):
                outcome = process.run(*sample, timeout_s=config.sample_seconds)
                if outcome.reason not in TRIED_AGAIN or stopping.is_set():
                    break
            return None if stopping.is_set() else outcome
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
    settings = {"schema": SCHEMA_VERSION, **asdict(config.size)}
    path = directory / "campaign.json"
    if not path.exists():
        write_whole(path, json.dumps(settings))
        return
    held = json.loads(path.read_text())
    if held.get("schema") != SCHEMA_VERSION:
        raise InputError(
            f"{directory} holds simulations of schema {held.get('schema')}, this version writes {SCHEMA_VERSION}; "
            "choose another name, or delete that directory"
        )
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


def announcement(config: CampaignConfig) -> str:
    """What a campaign will do and take, for people, before it starts."""
    return (
        f"{config.part_count} parts of {len(config.families)} families, {config.histories} histories of "
        f"{config.steps} steps each, {config.coarse_share:.0%} with a coarse pair, {config.workers} workers; "
        f"about {expected_bytes(config) / 1e9:.2f} GB in {config.target}"
    )
