"""What the jobs do: mesh a part, answer a problem. Each ends its row exactly once, however often it runs."""

import ctypes
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from api import blobs as keys
from api.batching import ByteBudget, MicroBatcher, Progress, answer_bytes
from api.blobs import Blobs
from api.downloads import Downloads
from api.errors import describe
from api.jobs import Job, prediction_kind
from api.metrics import WorkerMetrics
from api.records import Records
from api.schemas import PredictionRequest, ProblemDetails
from api.settings import Settings
from api.tables import MeshRow, PredictionRow, Row, now
from surrogate import (
    Fields,
    InfrastructureError,
    Problem,
    Summary,
    SurrogateError,
    TetMesh,
    build_problem,
    compare_summary,
    element_size,
    load_fields,
    load_mesh,
    load_part,
    mesh_volume,
    predict,
    save_fields,
    save_mesh,
    solve,
    summarize,
)

_REPORT_EVERY_S = 0.25

log = structlog.get_logger()


class CancelledJob(SurrogateError):
    """The prediction was cancelled while it ran."""


def job_of(row: Row) -> Job:
    """The job that finishes a row."""
    if isinstance(row, PredictionRow):
        return Job(prediction_kind(row.fidelity), row.id, row.run)
    return Job("mesh", row.id, row.run)


def mesh_key(mesh_id: str) -> str:
    """Where the mesh of a part is kept."""
    return f"{keys.of_mesh(mesh_id)}/mesh.npz"


def upload_key(row: MeshRow) -> str:
    """Where the uploaded file is kept; its name is ours, only the suffix is the user's."""
    return f"{keys.of_mesh(row.id)}/part{row.suffix}"


def display_name(row: MeshRow) -> str:
    """The user's name of a part as a harmless file name with the suffix of its format."""
    stem = re.sub(r"[^\w -]+", "_", row.name.split(".")[0])[:60].strip() or "part"
    return f"{stem}{row.suffix}"


def give_back_memory() -> None:
    """Hands freed memory back: glibc keeps what many threads have freed, which adds up to gigabytes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@dataclass(frozen=True)
class Work:
    """The handlers of the jobs."""

    settings: Settings
    records: Records
    blobs: Blobs
    batcher: MicroBatcher
    budget: ByteBudget
    downloads: Downloads
    metrics: WorkerMetrics

    def mesh(self, mesh_id: str) -> None:
        """Meshes an uploaded part."""
        row = self.records.mesh(mesh_id)
        structlog.contextvars.bind_contextvars(request_id=row.request_id)
        self._guard(row, "mesh", lambda: self._mesh(row))

    def predict(self, prediction_id: str) -> None:
        """Answers a problem with the model or by FEM."""
        row = self.records.prediction(prediction_id)
        structlog.contextvars.bind_contextvars(request_id=row.request_id)
        self._guard(row, job_of(row).kind, lambda: self._answer(row))

    def _guard(self, row: Row, kind: str, work: Callable[[], dict[str, object] | None]) -> None:
        """Does the work and ends the row with its outcome."""
        if not self.records.begin(row):
            return
        self.metrics.wait_seconds.labels(kind).observe(max((now() - row.created_at).total_seconds(), 0.0))
        started = time.perf_counter()
        facts: dict[str, object] | None = None
        problem: ProblemDetails | None = None
        status = "ready" if isinstance(row, MeshRow) else "done"
        try:
            if row.attempts > self.settings.job_attempts:
                raise InfrastructureError(
                    f"the service died {row.attempts - 1} times while it worked on this; it is given up. "
                    "Use a coarser mesh (a larger element_size_m), fewer histories or steps, or more memory"
                )
            facts = work()
        except CancelledJob:
            status = "cancelled"
        except SurrogateError as error:
            status, problem = "failed", describe(error)
        except Exception as error:
            log.exception("job failed")
            status, problem = "failed", describe(error)
        if self.records.finish(row, status, facts=facts, error=problem):
            seconds = time.perf_counter() - started
            self.metrics.jobs.labels(kind, status).inc()
            self.metrics.job_seconds.labels(kind).observe(seconds)
            give_back_memory()
            log.info("job ended", status=status, seconds=round(seconds, 3), reason=problem.detail if problem else None)

    def _mesh(self, row: MeshRow) -> dict[str, object]:
        started = time.perf_counter()
        with self.blobs.scratch() as scratch:
            # Under the user's name, for the messages to call the part so.
            part = scratch / display_name(row)
            part.symlink_to(self.blobs.path(upload_key(row)))
            mesh = load_part(part, length_unit=row.length_unit, element_size_m=row.element_size_m)
            save_mesh(scratch / "mesh.npz", mesh)
            self.blobs.keep(scratch / "mesh.npz", mesh_key(row.id))
        seconds = time.perf_counter() - started
        self.metrics.note_stage("mesh", seconds)
        return mesh_facts(mesh) | {"meshing_s": round(seconds, 3)}

    def _answer(self, row: PredictionRow) -> None:
        progress = self._progress(row)
        progress("reading the mesh", 0.0)
        request = PredictionRequest.model_validate_json(row.request)
        with self.metrics.stage("read"):
            mesh = load_mesh(self.blobs.path(mesh_key(row.mesh_id)))
            problem = build_problem(request.problem(), mesh, name=row.name)
        if job_of(row).kind == "solve":
            self._keep(row, request, problem, self._solve(request, problem, progress))
            return
        progress("waiting for memory", 0.0)
        with self.budget.share(answer_bytes(problem)):
            self._keep(row, request, problem, self._ask(request, problem, progress))

    def _solve(self, request: PredictionRequest, problem: Problem, progress: Progress) -> Fields:
        """By FEM, or by FEM where the model cannot be trusted: long work that must not hold up the model's queue."""
        if request.fidelity == "solved":
            return solve(problem, progress=progress)
        model = request.model or self.settings.model
        return predict(problem, fidelity="auto", device=self.settings.device, model=model, progress=progress)

    def _ask(self, request: PredictionRequest, problem: Problem, progress: Progress) -> Fields:
        assert request.fidelity in ("surrogate", "refined"), "the others are solved"
        model = request.model or self.settings.model
        return self.batcher.answer(problem, fidelity=request.fidelity, model=model, progress=progress)

    def _keep(self, row: PredictionRow, request: PredictionRequest, problem: Problem, fields: Fields) -> None:
        directory = keys.of_prediction(row.id)
        summary = self._summary(row, problem, fields)
        self.metrics.note_answer(request.fidelity, fields, summary)
        size = 0
        with self.metrics.stage("write"), self.blobs.scratch() as scratch:
            if request.outputs:
                save_fields(scratch / "fields.npz", fields)
                size += (scratch / "fields.npz").stat().st_size
                self.blobs.keep(scratch / "fields.npz", f"{directory}/fields.npz")
            text = scratch / "summary.json"
            text.write_text(summary.model_dump_json(), encoding="utf-8")
            size += text.stat().st_size
            self.blobs.keep(text, f"{directory}/summary.json")
        self.records.weigh(row.id, size)
        if "vtu" in request.outputs:
            self.downloads.vtu(row, history=None, step=None)
        if "png" in request.outputs:
            self.downloads.picture(row, "von_mises", history=None, step=None)
        if "report" in request.outputs:
            self.downloads.report(row)

    def _summary(self, row: PredictionRow, problem: Problem, fields: Fields) -> Summary:
        """A verification's summary is that of the prediction, with the differences to the solution."""
        if row.verifies is None:
            return summarize(problem, fields)
        predicted = load_fields(self.blobs.path(f"{keys.of_prediction(row.verifies)}/fields.npz"))
        return compare_summary(problem, predicted, fields)

    def _progress(self, row: PredictionRow) -> Progress:
        """Stores progress a few times a second, and ends the job where it was cancelled."""
        reported, known_stage = 0.0, ""

        def progress(stage: str, fraction: float) -> None:
            nonlocal reported, known_stage
            if stage == known_stage and time.monotonic() - reported < _REPORT_EVERY_S:
                return
            reported, known_stage = time.monotonic(), stage
            if not self.records.report(row.id, stage, fraction):
                raise CancelledJob(f"prediction {row.id} was cancelled")

        return progress


def mesh_facts(mesh: TetMesh) -> dict[str, object]:
    """What `GET /v1/meshes/{id}` tells of a mesh, as JSON."""
    return {
        "points": len(mesh.points),
        "cells": len(mesh.cells),
        "faces": len(mesh.faces),
        "volume_m3": mesh_volume(mesh.points, mesh.cells),
        "size_m": list(mesh.size),
        "element_size_m": element_size(mesh),
    }
