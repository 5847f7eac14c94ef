"""What Prometheus reads: of the HTTP process, and of its workers, which leave their numbers in files.

The HTTP process counts in memory. A worker that `surrogate serve` keeps alive counts in a file of its own, under the
number that it has there: one that takes the place of a dead one counts on, and there are never more files than workers.
A worker alone counts in memory and answers on a port of its own.

The number of time series is bounded: labels are routes, kinds, stages and the like, and never an id or a name that a
user chose.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from api.settings import Settings
from surrogate import Fields, Summary

_SAMPLE_EVERY_S = 5.0
_JOB_BUCKETS = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_WIDTH_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
# Of `Fields.timings_s`, and what the worker adds; another one would be a new time series that nobody asked for.
_STAGES = frozenset(
    (
        "mesh",
        "read",
        "anchor",
        "modes",
        "encode",
        "rollout",
        "decode",
        "equilibrium",
        "worst",
        "solve",
        "write",
        "total",
    )
)
# As prometheus_client calls the files that it maps; they are many times as large as what is counted.
_FILE_KINDS, _FILE_BYTES = ("counter", "histogram", "gauge_liveall"), 1 << 18

log = structlog.get_logger()

# A second series beside each, with the time of its making, which nothing reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class ServiceMetrics:
    """Of the HTTP process."""

    registry: CollectorRegistry
    requests: Counter
    request_seconds: Histogram
    open_requests: Gauge
    file_seconds: Histogram
    refused: Counter
    worker_restarts: Counter
    loop_delay_seconds: Histogram

    @classmethod
    def create(cls) -> "ServiceMetrics":
        """All at zero, in a registry of their own, with what every Python process has."""
        own = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=own)
        return cls(
            own,
            Counter("surrogate_requests", "HTTP requests", ("method", "route", "status"), registry=own),
            Histogram("surrogate_request_seconds", "Time to answer a request", ("method", "route"), registry=own),
            Gauge("surrogate_open_requests", "Requests and event streams that are being answered", registry=own),
            Histogram(
                "surrogate_file_seconds", "Time to make a download", ("file",), buckets=_JOB_BUCKETS, registry=own
            ),
            Counter("surrogate_refused", "Jobs that were refused because too many wait", ("kind",), registry=own),
            Counter("surrogate_worker_restarts", "Workers that died and were started again", registry=own),
            Histogram(
                "surrogate_loop_delay_seconds",
                "How late the event loop, which answers everything, wakes up",
                buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
                registry=own,
            ),
        )


@dataclass(frozen=True)
class WorkerMetrics:
    """Of a worker."""

    registry: CollectorRegistry
    jobs: Counter
    job_seconds: Histogram
    wait_seconds: Histogram
    stage_seconds: Histogram
    answers: Counter
    interval_width: Histogram
    domain: Counter
    batch_problems: Histogram
    batch_points: Histogram
    waiting_problems: Gauge
    memory_bytes: Gauge
    gpu_bytes: Gauge

    @classmethod
    def create(cls) -> "WorkerMetrics":
        """All at zero, or where the worker that had this file left off."""
        own = CollectorRegistry()
        quantity = ("quantity",)
        return cls(
            own,
            Counter("surrogate_jobs", "Jobs that ended", ("kind", "status"), registry=own),
            Histogram("surrogate_job_seconds", "Time to do a job", ("kind",), buckets=_JOB_BUCKETS, registry=own),
            Histogram(
                "surrogate_job_wait_seconds",
                "Time from the request to the start of its job",
                ("kind",),
                buckets=_JOB_BUCKETS,
                registry=own,
            ),
            Histogram("surrogate_stage_seconds", "Time of a stage", ("stage",), buckets=_JOB_BUCKETS, registry=own),
            Counter(
                "surrogate_answers", "Answers, by what was asked for and used", ("fidelity", "method"), registry=own
            ),
            Histogram(
                "surrogate_interval_width",
                "Width of the 90 % interval of the worst history, relative to the value",
                quantity,
                buckets=_WIDTH_BUCKETS,
                registry=own,
            ),
            Counter(
                "surrogate_domain",
                "Predicted answers inside and outside the training domain",
                ("verdict",),
                registry=own,
            ),
            Histogram(
                "surrogate_batch_problems", "Problems answered together", buckets=(1, 2, 4, 8, 16, 32), registry=own
            ),
            Histogram(
                "surrogate_batch_points",
                "Points of the meshes answered together",
                buckets=(1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6),
                registry=own,
            ),
            _gauge(own, "surrogate_waiting_problems", "Problems in a worker that wait for the model"),
            _gauge(own, "surrogate_worker_memory_bytes", "Resident memory of a worker"),
            _gauge(own, "surrogate_gpu_memory_bytes", "Memory of the GPU that a worker holds", ("state",)),
        )

    def note_batch(self, problems: int, points: int) -> None:
        """Counts what the model answered together."""
        self.batch_problems.observe(problems)
        self.batch_points.observe(points)

    def note_answer(self, fidelity: str, fields: Fields, summary: Summary) -> None:
        """Counts an answer: how it was found, how sure it is, where its time went."""
        self.answers.labels(fidelity, summary.method).inc()
        for stage, seconds in fields.timings_s.items():
            self.note_stage(stage, seconds)
        if summary.domain is not None:
            self.domain.labels("inside" if summary.domain.inside else "outside").inc()
        for quantity, width in interval_widths(summary).items():
            self.interval_width.labels(quantity).observe(width)

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """Counts the time of the block as that of a stage."""
        started = time.perf_counter()
        yield
        self.note_stage(stage, time.perf_counter() - started)

    def note_stage(self, stage: str, seconds: float) -> None:
        """Counts the time of a stage."""
        self.stage_seconds.labels(stage if stage in _STAGES else "other").observe(seconds)


def interval_widths(summary: Summary) -> dict[str, float]:
    """Width over value of what the worst history has an interval for."""
    if not summary.ranking:
        return {}
    worst = next(history for history in summary.histories if history.name == summary.ranking[0])
    found: Mapping[str, object] = {"permanent_set": worst.permanent_set_m, "safety_factor": worst.safety_factor_yield}
    if worst.peak_step is not None and worst.peak_step < len(worst.steps):
        peak = worst.steps[worst.peak_step]
        found = {**found, "von_mises": peak.peak_von_mises_pa, "plastic_strain": peak.peak_plastic_strain}
    widths = {}
    for name, quantity in found.items():
        value, low, high = (getattr(quantity, part, None) for part in ("value", "low", "high"))
        if value and low is not None and high is not None:
            widths[name] = (high - low) / abs(value)
    return widths


def worker_files(settings: Settings) -> Path:
    """Where supervised workers count."""
    return settings.directory / "metrics"


def clear_worker_files(settings: Settings) -> None:
    """What was counted before this start; Prometheus knows that counters may begin anew."""
    rmtree(worker_files(settings), ignore_errors=True)
    worker_files(settings).mkdir(parents=True)


def forget_gauges(settings: Settings, number: int) -> None:
    """A dead worker holds no memory; what it counted stays."""
    mark_process_dead(number, str(worker_files(settings)))  # type: ignore[no-untyped-call]


def start_worker_metrics(settings: Settings) -> WorkerMetrics:
    """Counts in the file that the service reads, or on a port of its own."""
    if settings.supervised and _reserve_files(settings):
        # The class is made anew for its files to be called after the worker's number, not its process id.
        values.ValueClass = values.MultiProcessValue(lambda: _number(settings))  # type: ignore[no-untyped-call]
    metrics = WorkerMetrics.create()
    if settings.metrics_port is not None and not settings.supervised:
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=metrics.registry)
        start_http_server(settings.metrics_port, settings.metrics_host, metrics.registry)
    return metrics


def start_sampling(metrics: WorkerMetrics, waiting: Callable[[], int]) -> None:
    """Measures from time to time what no event tells: memory, and how many problems wait for the model."""
    threading.Thread(target=_sample, args=(metrics, waiting), name="metrics", daemon=True).start()


def _number(settings: Settings) -> str:
    """Of a supervised worker, which is called after its service with a number."""
    return settings.worker_id.rsplit("-", 1)[-1]


def _reserve_files(settings: Settings) -> bool:
    """Whether the files have their bytes on the disk: writing to a hole of a mapped file on a full disk would kill."""
    try:
        for kind in _FILE_KINDS:
            with (worker_files(settings) / f"{kind}_{_number(settings)}.db").open("ab") as stream:
                os.posix_fallocate(stream.fileno(), 0, _FILE_BYTES)
    except OSError as error:
        log.warning("this worker's counts will not be seen: no room for their files", reason=error.strerror)
        return False
    return True


def exposition(metrics: ServiceMetrics, more: Iterable[Collector], settings: Settings) -> bytes:
    """The text that Prometheus reads: of this process, of the database, of its workers."""
    beside = CollectorRegistry()
    for collector in more:
        beside.register(collector)
    if worker_files(settings).is_dir():
        MultiProcessCollector(beside, path=str(worker_files(settings)))  # type: ignore[no-untyped-call]
    return generate_latest(metrics.registry) + generate_latest(beside)


def gauge_family(name: str, text: str, samples: Iterable[tuple[str, float]], label: str) -> GaugeMetricFamily:
    """One gauge with a label."""
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in samples:
        family.add_metric((value,), number)
    return family


def resident_bytes() -> int:
    """Memory of this process, bytes; 0 where there is no /proc."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _gauge(registry: CollectorRegistry, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    """Each living worker's value, under its number."""
    return Gauge(name, text, labels, registry=registry, multiprocess_mode="liveall")


def _sample(metrics: WorkerMetrics, waiting: Callable[[], int]) -> None:
    while True:
        metrics.waiting_problems.set(waiting())
        metrics.memory_bytes.set(resident_bytes())
        for state, size in _gpu_bytes().items():
            metrics.gpu_bytes.labels(state).set(size)
        time.sleep(_SAMPLE_EVERY_S)


def _gpu_bytes() -> dict[str, int]:
    """What torch holds of its GPU; nothing before it was first used, for asking would load torch and start CUDA."""
    if "torch" not in sys.modules:
        return {}
    import torch

    if not torch.cuda.is_available() or not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return {}
    return {"used": torch.cuda.memory_allocated(), "reserved": torch.cuda.memory_reserved()}
