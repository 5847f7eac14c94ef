"""Processes that compute for the HTTP process: files that are made when they are asked for, checks of large problems.

Python runs one thread at a time: what computes in a thread of the HTTP process makes every other request wait, and what
crashes there, as VTK may, ends the service. They start when they are first needed.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from api.batching import answer_bytes
from api.blobs import open_blobs
from api.database import open_database
from api.downloads import Downloads
from api.metrics import ServiceMetrics
from api.records import Records
from api.schemas import FaceList, FaceView, PredictionRequest
from api.settings import Settings
from api.telemetry import configure_logs
from surrogate import InfrastructureError, TetMesh, build_problem, load_mesh

T = TypeVar("T")

# Below this a check takes some milliseconds in a thread, less than a process takes to be asked.
SMALL_POINTS = 15_000
# A process is replaced after so many tasks: what a library does not give back does not add up.
_TASKS_A_PROCESS = 200
_LOOK_EVERY_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Extent:
    """How large a problem is.

    Attributes:
        cells: of its mesh.
        histories: load histories.
        answer_bytes: about what its answer takes in memory.
    """

    cells: int
    histories: int
    answer_bytes: int


class Makers:
    """A few processes with the records and files of the service.

    Args:
        settings: of the service.
        metrics: told how long files take.
    """

    def __init__(self, settings: Settings, metrics: ServiceMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        # One process is left for checks, which are short, while all others make files.
        self._turns = threading.BoundedSemaphore(settings.concurrent_renders)
        self._lock = threading.Lock()
        self._stopped = False
        self._pool: ProcessPoolExecutor | None = None

    def file(self, work: "partial[Path]") -> Path:
        """Makes a file by a method of `Downloads`, when it is its turn."""
        with self._turns, self._metrics.file_seconds.labels(work.func.__name__).time():
            return self.run(partial(_make_file, work))

    def ask(self, work: Callable[[], T], *, points: int) -> T:
        """Here, where the mesh is small, else in a process."""
        return work() if points <= SMALL_POINTS else self.run(work)

    def run(self, work: Callable[[], T]) -> T:
        """In a process; once more where it died, for another task may have killed it.

        Raises:
            InfrastructureError: it died again, or the service is stopping.
        """
        for _ in range(2):
            pool = self._opened()
            try:
                return pool.submit(work).result()
            except BrokenProcessPool:
                self._forget(pool)
        raise InfrastructureError(
            "the process that made this died, perhaps for want of memory; try again, with a coarser mesh or fewer "
            "histories and steps, or give the service more memory"
        )

    def stop(self) -> None:
        """Takes no more work, and does not wait for what is being done."""
        with self._lock:
            self._stopped, pool = True, self._pool
        if pool is not None:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()

    def _opened(self) -> ProcessPoolExecutor:
        """The pool, whose processes start one by one as they are needed."""
        with self._lock:
            if self._stopped:
                raise InfrastructureError("the service is stopping; try again in a moment")
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._settings.concurrent_renders + 1,
                    # A fork of a process with threads may inherit a lock that nobody will ever open.
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_begin,
                    initargs=(self._settings, os.getpid()),
                    max_tasks_per_child=_TASKS_A_PROCESS,
                )
            return self._pool

    def _forget(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is broken:
                log.error("a process that makes files died; others take its place")
                broken.shutdown(wait=False, cancel_futures=True)
                self._pool = None


def extent(request: PredictionRequest, mesh: Path) -> Extent:
    """Builds a problem, so that a mistake in it is told, and returns how large it is.

    Raises:
        SurrogateError: what is wrong with the problem.
    """
    problem = build_problem(request.problem(), load_mesh(mesh))
    return Extent(len(problem.mesh.cells), len(problem.load_histories), answer_bytes(problem))


def face_list(mesh_id: str, mesh: Path) -> FaceList:
    """What selectors can select."""
    return FaceList(mesh=mesh_id, faces=_faces(load_mesh(mesh)))


def _faces(mesh: TetMesh) -> list[FaceView]:
    return [
        FaceView(
            id=face.id,
            name=face.name,
            kind=face.kind,
            area_m2=face.area,
            centroid_m=face.centroid,
            normal=face.normal,
            axis=face.axis,
            radius_m=face.radius,
            hole=face.hole,
        )
        for face in mesh.faces
    ]


_downloads: Downloads | None = None


def _make_file(work: Callable[[Downloads], Path]) -> Path:
    assert _downloads is not None, "a process of the pool has begun before it is given work"
    return work(_downloads)


def _begin(settings: Settings, parent: int) -> None:
    """Makes a process of the pool ready: it gives way to the service as the workers do, and ends with it."""
    global _downloads
    os.nice(settings.worker_nice)
    configure_logs(settings)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # Below the scratch of the HTTP process, which a new start of the service clears.
    own = settings.model_copy(update={"worker_id": f"{settings.worker_id}/maker-{os.getpid()}"})
    records = Records(open_database(settings.metadata_url))
    _downloads = Downloads(records, open_blobs(own, "service"), threading.BoundedSemaphore(1))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(0)
