"""What the jobs do: mesh a part, answer a problem. Each ends its row exactly once, however often it runs."""

import time
from dataclasses import dataclass

# Its `predict` is found when it is first used: a worker that only meshes and solves does not wait for torch.
import surrogate
from api import blobs as keys
from api.batching import ByteBudget, MicroBatcher, Progress, answer_bytes
from api.blobs import Blobs
from api.downloads import Downloads
from api.guard import Facts, Guard
from api.metrics import WorkerMetrics
from api.naming import display_name, job_of, mesh_key, upload_key
from api.records import Records
from api.schemas import PredictionRequest
from api.settings import Settings
from api.tables import MeshRow, PredictionRow
from surrogate import (
    Fields,
    Problem,
    Summary,
    TetMesh,
    build_problem,
    compare_summary,
    element_size,
    load_fields,
    load_mesh,
    load_part,
    mesh_volume,
    save_fields,
    save_mesh,
    solve,
    summarize,
)


@dataclass(frozen=True)
class Work:
    """The handlers of the jobs."""

    settings: Settings
    records: Records
    blobs: Blobs
    batcher: MicroBatcher
    budget: ByteBudget
    downloads: Downloads
    guard: Guard
    metrics: WorkerMetrics

    def mesh(self, mesh_id: str, run: str) -> None:
        """Meshes an uploaded part."""
        self.guard.run("mesh", run, lambda: self.records.mesh(mesh_id), self._mesh)

    def predict(self, prediction_id: str, run: str) -> None:
        """Answers a problem with the model."""
        self.guard.run("predict", run, lambda: self.records.prediction(prediction_id), self._answer)

    def solve(self, prediction_id: str, run: str) -> None:
        """Answers a problem by FEM."""
        self.guard.run("solve", run, lambda: self.records.prediction(prediction_id), self._answer)

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

    def _answer(self, row: PredictionRow) -> Facts:
        progress = self.guard.progress(row)
        progress("reading the mesh", 0.0)
        request = PredictionRequest.model_validate_json(row.request)
        with self.metrics.stage("read"):
            mesh = load_mesh(self.blobs.path(mesh_key(row.mesh_id)))
            problem = build_problem(request.problem(), mesh, name=row.name)
        if job_of(row).kind == "solve":
            fields = self._solve(request, problem, progress)
            self._keep_patiently(row, request, problem, fields, progress)
            return None
        progress("waiting for memory", 0.0)
        with self.budget.share(answer_bytes(problem)):
            fields = self._ask(request, problem, progress)
            self._keep_patiently(row, request, problem, fields, progress)
        return None

    def _solve(self, request: PredictionRequest, problem: Problem, progress: Progress) -> Fields:
        """By FEM, or by FEM where the model cannot be trusted: long work that must not hold up the model's queue."""
        if request.fidelity == "solved":
            return solve(problem, progress=progress)
        model = request.model or self.settings.model
        return surrogate.predict(problem, fidelity="auto", device=self.settings.device, model=model, progress=progress)

    def _ask(self, request: PredictionRequest, problem: Problem, progress: Progress) -> Fields:
        assert request.fidelity in ("surrogate", "refined"), "the others are solved"
        model = request.model or self.settings.model
        return self.batcher.answer(problem, fidelity=request.fidelity, model=model, progress=progress)

    def _keep_patiently(
        self, row: PredictionRow, request: PredictionRequest, problem: Problem, fields: Fields, progress: Progress
    ) -> None:
        """What was computed is not computed again because the disk is full."""

        def keep() -> Summary:
            return self._keep(row, request, problem, fields)

        summary = self.guard.patience.until_done(keep, lambda stage: progress(stage, 1.0))
        self.metrics.note_answer(request.fidelity, fields, summary)

    def _keep(self, row: PredictionRow, request: PredictionRequest, problem: Problem, fields: Fields) -> Summary:
        directory = keys.of_prediction(row.id)
        summary = self._summary(row, problem, fields)
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
        return summary

    def _summary(self, row: PredictionRow, problem: Problem, fields: Fields) -> Summary:
        """A verification's summary is that of the prediction, with the differences to the solution."""
        if row.verifies is None:
            return summarize(problem, fields)
        predicted = load_fields(self.blobs.path(f"{keys.of_prediction(row.verifies)}/fields.npz"))
        return compare_summary(problem, predicted, fields)


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
