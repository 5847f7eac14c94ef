"""Reads what locust and the watcher wrote, prints it, and says what is not as it should be."""

import csv
import json
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The first part of a run fills caches, loads the model and lets the pools of memory grow to their size.
WARM_UP_SHARE = 0.25


@dataclass(frozen=True)
class Bounds:
    """What a run must keep.

    Attributes:
        health_p95_s: of the latency of /healthz, s.
        growth: of the memory after warm-up, as a share, by a straight line through it.
    """

    health_p95_s: float
    growth: float


@dataclass(frozen=True)
class Growth:
    """Memory of a process after warm-up.

    Attributes:
        first_bytes: median of the first third.
        last_bytes: median of the last third.
        fitted: growth from the start to the end of a straight line through all, as a share of its start.
    """

    first_bytes: float
    last_bytes: float
    fitted: float

    @property
    def thirds(self) -> float:
        """Growth of the medians, as a share."""
        return self.last_bytes / self.first_bytes - 1


def growth(seconds: list[float], sizes: list[float]) -> Growth:
    """Of one process; both lists are from the whole run."""
    start = seconds[0] + WARM_UP_SHARE * (seconds[-1] - seconds[0])
    kept = [(at, size) for at, size in zip(seconds, sizes, strict=True) if at >= start and size > 0]
    times, values = (np.array(column) for column in zip(*kept, strict=True))
    slope, offset = np.polyfit(times - times[0], values, 1)
    third = max(len(values) // 3, 1)
    return Growth(
        statistics.median(values[:third]),
        statistics.median(values[-third:]),
        float(slope * (times[-1] - times[0]) / offset),
    )


def judge(directory: Path, bounds: Bounds) -> list[str]:
    """Prints a run and returns what is wrong with it."""
    return [*_judge_requests(directory), *_judge_watched(directory, bounds)]


def _judge_requests(directory: Path) -> list[str]:
    with (directory / "users_stats.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    print(
        f"\n{'operation':<34}{'count':>7}{'failed':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}{'per s':>8}"
    )
    for row in rows:
        numbers = "".join(f"{float(row[name] or 0):>9.0f}" for name in ("50%", "95%", "99%", "Max Response Time"))
        count, failed = int(row["Request Count"]), int(row["Failure Count"])
        print(f"{row['Name']:<34}{count:>7}{failed:>8}{numbers}{float(row['Requests/s']):>8.2f}")
    total = next(row for row in rows if row["Name"] == "Aggregated")
    wrong = []
    if int(total["Failure Count"]):
        with (directory / "users_failures.csv").open() as stream:
            failures = [f"{row['Occurrences']} x {row['Name']}: {row['Error'][:300]}" for row in csv.DictReader(stream)]
        wrong.append("requests failed: " + "; ".join(failures))
    if int(total["Request Count"]) < 10:
        wrong.append(f"only {total['Request Count']} requests were made: nothing was tested")
    return wrong


def _judge_watched(directory: Path, bounds: Bounds) -> list[str]:
    lines = [json.loads(line) for line in (directory / "watched.jsonl").read_text().splitlines()]
    wrong = []
    answered = sorted(line["health_s"] for line in lines if line["health_s"] is not None)
    lost = len(lines) - len(answered)
    p50, p95 = (answered[int(share * (len(answered) - 1))] for share in (0.5, 0.95))
    within = sum(each <= 0.05 for each in answered) / len(answered)
    milliseconds = [1e3 * each for each in (p50, p95, answered[-1])]
    print(
        f"\n/healthz every 0.5 s: {len(answered)} answered, {lost} not; p50, p95, max "
        f"{', '.join(f'{each:.1f}' for each in milliseconds)} ms; {100 * within:.1f} % within 50 ms"
    )
    if lost:
        wrong.append(f"/healthz was not answered {lost} times")
    if p95 > bounds.health_p95_s:
        wrong.append(f"/healthz took {1e3 * p95:.0f} ms (p95), more than {1e3 * bounds.health_p95_s:.0f} ms")
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        for name, size in line.get("memory", {}).items():
            series[name].append((line["at"], size))
    print(f"\n{'memory after warm-up':<22}{'first third':>13}{'last third':>13}{'growth':>9}{'line':>9}{'most':>11}")
    for name, points in series.items():
        seconds, sizes = [at for at, _ in points], [size for _, size in points]
        grown = growth(seconds, sizes)
        print(
            f"{name:<22}{grown.first_bytes / 1e6:>10.0f} MB{grown.last_bytes / 1e6:>10.0f} MB{grown.thirds:>9.1%}"
            f"{grown.fitted:>9.1%}{max(sizes) / 1e6:>8.0f} MB"
        )
        # Both, for a single peak at an end bends a line, and not a median.
        if min(grown.thirds, grown.fitted) > bounds.growth:
            wrong.append(f"the memory of {name} grew by {grown.fitted:.1%} after warm-up")
    return wrong
