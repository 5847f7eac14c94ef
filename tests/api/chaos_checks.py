"""What must hold when a storm is over: every job ended once, every file is whole, nothing is left over."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from api.database import open_engine
from api.naming import job_of
from api.tables import MeshRow, PredictionRow, Row
from surrogate import SurrogateError, load_fields, load_mesh
from tests.api.chaos_parts import Part

_MOST_ATTEMPTS = 3


def violations(
    data: Path, engine: Engine, jobs_url: str, uploads: Mapping[str, Part], predictions: Mapping[str, int]
) -> list[str]:
    """What does not hold, in words.

    Args:
        data: the data directory of a service that has ended.
        engine: of the service's tables.
        jobs_url: of the job engine's.
        uploads: what was uploaded, by mesh id.
        predictions: the number of each job, by prediction id.
    """
    jobs = open_engine(jobs_url)
    try:
        with Session(engine.execution_options(reads=True)) as session:
            meshes = {row.id: row for row in session.scalars(select(MeshRow))}
            answers = {row.id: row for row in session.scalars(select(PredictionRow))}
        return [
            *_rows(meshes, answers, uploads, predictions),
            *_meshes(data / "blobs" / "meshes", uploads),
            *_answers(data / "blobs" / "predictions", predictions),
            *_left_over(data, uploads, predictions),
            *_jobs(jobs, [*meshes.values(), *answers.values()]),
            *_ends(data.parent / "log.txt"),
        ]
    finally:
        jobs.dispose()


def _rows(
    meshes: Mapping[str, MeshRow],
    answers: Mapping[str, PredictionRow],
    uploads: Mapping[str, Part],
    predictions: Mapping[str, int],
) -> Iterator[str]:
    if set(meshes) != set(uploads):
        yield f"meshes lost or doubled: {set(meshes) ^ set(uploads)}"
    if set(answers) != set(predictions):
        yield f"predictions lost or doubled: {set(answers) ^ set(predictions)}"
    if len(set(predictions.values())) != len(predictions):
        yield "two predictions were made of one request"
    for row in (*meshes.values(), *answers.values()):
        if row.status not in ("ready", "done"):
            yield f"{row.id} is {row.status} after {row.attempts} attempts: {row.error}"
        if not 1 <= row.attempts <= _MOST_ATTEMPTS or row.worker is None:
            yield f"{row.id} took {row.attempts} attempts, the last by {row.worker}"
    for answer in answers.values():
        if answer.finished_at is None or answer.progress != 1.0 or answer.stage is not None:
            yield f"{answer.id} is done, and not: {answer.finished_at}, {answer.progress}, {answer.stage}"


def _meshes(folder: Path, uploads: Mapping[str, Part]) -> Iterator[str]:
    for name, sent in uploads.items():
        try:
            if hashlib.sha256((folder / name / "part.inp").read_bytes()).hexdigest() != sent.digest:
                yield f"the upload of {name} is not what was sent"
            if len(load_mesh(folder / name / "mesh.npz").cells) != 24:
                yield f"the mesh of {name} is another"
        except (OSError, SurrogateError) as error:
            yield f"the files of mesh {name} cannot be read: {error}"


def _answers(folder: Path, predictions: Mapping[str, int]) -> Iterator[str]:
    for name, number in predictions.items():
        try:
            fields = load_fields(folder / name / "fields.npz")
            summary = json.loads((folder / name / "summary.json").read_bytes())
        except (OSError, ValueError, SurrogateError) as error:
            yield f"the answer of prediction {name} cannot be read: {error}"
            continue
        told = [history["name"] for history in summary["histories"]]
        if told != [f"history {number}"] or [history.name for history in fields.histories] != told:
            yield f"prediction {name} of job {number} has the answer of {told}"


def _left_over(data: Path, uploads: Mapping[str, Part], predictions: Mapping[str, int]) -> Iterator[str]:
    blobs = data / "blobs"
    expected = {Path("meshes", name, file) for name in uploads for file in ("part.inp", "mesh.npz")}
    expected |= {Path("predictions", name, file) for name in predictions for file in ("fields.npz", "summary.json")}
    kept = {path.relative_to(blobs) for path in blobs.rglob("*") if not path.is_dir()}
    for stray in sorted(kept - expected):
        yield f"nobody needs {stray}"
    for scratch in blobs.glob("incoming/*/*"):
        yield f"scratch is left: {scratch.relative_to(blobs)}"


def _jobs(engine: Engine, rows: list[Row]) -> Iterator[str]:
    table = "workflow_status" if engine.dialect.name == "sqlite" else "dbos.workflow_status"
    with engine.connect() as connection:
        asked = connection.execute(text(f"select workflow_uuid, status from {table}"))
        found = {row.workflow_uuid: row.status for row in asked}
    wrong = Counter(status for status in found.values() if status != "SUCCESS")
    if wrong:
        yield f"jobs are not over, or not well: {dict(wrong)}"
    for row in rows:
        if found.get(job_of(row).id) != "SUCCESS":
            yield f"the last job of {row.id} is {found.get(job_of(row).id)}"


def _ends(log: Path) -> Iterator[str]:
    """A worker says that a job ended when it was the one that ended its row."""
    # Found wherever it stands: a killed process may leave half a line.
    told = re.findall(r'\{[^{}]*"event": "job ended"[^{}]*\}', log.read_text())
    for name, count in Counter(json.loads(event)["id"] for event in told).items():
        if count > 1:
            yield f"{name} ended {count} times"
