"""Files that are made of a finished prediction when they are asked for, and kept.

A file's name tells what it holds, and it is renamed into place when it is complete, so that two requests for the same
file do no harm.
"""

import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from api import blobs as keys
from api.blobs import Blobs
from api.errors import ConflictError
from api.records import Records
from api.schemas import PictureField, PredictionRequest
from api.tables import MeshRow, PredictionRow
from surrogate import (
    Fields,
    InputError,
    Problem,
    Summary,
    build_problem,
    load_fields,
    load_mesh,
    render_pictures,
    write_report,
    write_series,
    write_step,
    write_surface,
    write_surface_fields,
)


@dataclass(frozen=True)
class Choice:
    """One load history of a prediction and one of its stored steps."""

    problem: Problem
    fields: Fields
    history: str
    step: int


@dataclass(frozen=True)
class Downloads:
    """Makes and keeps the files.

    Attributes:
        records: the tables.
        blobs: the files.
        turns: bounds how many files are made at the same time.
        elsewhere: has another process do the same, where files are not made in this one.
    """

    records: Records
    blobs: Blobs
    turns: threading.BoundedSemaphore
    elsewhere: "Callable[[partial[Path]], Path] | None" = None

    def summary(self, row: PredictionRow) -> Summary:
        """The answer in numbers."""
        return Summary.model_validate_json(self.blobs.path(f"{keys.of_prediction(row.id)}/summary.json").read_bytes())

    def surface(self, row: MeshRow) -> Path:
        """The surface of a part, safetensors."""

        def make(scratch: Path) -> Path:
            path = scratch / "surface.safetensors"
            write_surface(load_mesh(self.blobs.path(f"{keys.of_mesh(row.id)}/mesh.npz")), path)
            return path

        return self._made(keys.of_mesh(row.id), "surface.safetensors", make, partial(Downloads.surface, row=row))

    def fields(self, row: PredictionRow, *, history: str | None, step: int | None) -> Path:
        """The fields of a load history at the points of the surface, safetensors; of all stored steps or one."""

        def make(scratch: Path) -> Path:
            answer = self._fields_file(row)
            mesh = load_mesh(self.blobs.path(f"{keys.of_mesh(row.mesh_id)}/mesh.npz"))
            path = scratch / "fields.safetensors"
            write_surface_fields(mesh, answer, path, history=history or self.summary(row).ranking[0], step=step)
            return path

        again = partial(Downloads.fields, row=row, history=history, step=step)
        return self._made(keys.of_prediction(row.id), f"fields-{_key(history, step)}.safetensors", make, again)

    def vtu(self, row: PredictionRow, *, history: str | None, step: int | None) -> Path:
        """One step as a VTU file for ParaView."""

        def make(scratch: Path) -> Path:
            choice = self._choose(row, history, step)
            path = scratch / "step.vtu"
            write_step(choice.problem, choice.fields, path, history=choice.history, step=choice.step)
            return path

        again = partial(Downloads.vtu, row=row, history=history, step=step)
        return self._made(keys.of_prediction(row.id), f"step-{_key(history, step)}.vtu", make, again)

    def series(self, row: PredictionRow) -> Path:
        """All stored steps of all histories, a ZIP of a PVD series."""

        def make(scratch: Path) -> Path:
            problem, fields = self._answer(row)
            directory = scratch / "series"
            write_series(problem, fields, directory)
            packed = scratch / "series.zip"
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for path in sorted(directory.rglob("*")):
                    archive.write(path, path.relative_to(directory))
            return packed

        return self._made(keys.of_prediction(row.id), "series.zip", make, partial(Downloads.series, row=row))

    def picture(self, row: PredictionRow, field: PictureField, *, history: str | None, step: int | None) -> Path:
        """One field of one step as a PNG."""

        def make(scratch: Path) -> Path:
            choice = self._choose(row, history, step)
            (picture,) = render_pictures(
                choice.problem, choice.fields, scratch, history=choice.history, step=choice.step, fields=(field,)
            )
            return picture

        again = partial(Downloads.picture, row=row, field=field, history=history, step=step)
        return self._made(keys.of_prediction(row.id), f"{field}-{_key(history, step)}.png", make, again)

    def report(self, row: PredictionRow) -> Path:
        """The report in one HTML file, with the solved reference where there is one."""
        solved = self.records.verification_of(row.id)
        verified = solved is not None and solved.status == "done"

        def make(scratch: Path) -> Path:
            problem, fields = self._answer(row)
            reference = self._answer(solved)[1] if solved is not None and verified else None
            return write_report(problem, fields, scratch, reference=reference)

        name = "verified-report.html" if verified else "report.html"
        return self._made(keys.of_prediction(row.id), name, make, partial(Downloads.report, row=row))

    def _made(self, directory: str, name: str, make: Callable[[Path], Path], again: "partial[Path]") -> Path:
        """A file that is there, or is made now: here, or elsewhere by the same method again."""
        key = f"{directory}/made/{name}"
        if self.blobs.exists(key):
            return self.blobs.path(key)
        if self.elsewhere is not None:
            return self.elsewhere(again)
        with self.turns, self.blobs.scratch() as scratch:
            # Another request may have made it while this one waited for its turn.
            return self.blobs.path(key) if self.blobs.exists(key) else self.blobs.keep(make(scratch), key)

    def _fields_file(self, row: PredictionRow) -> Path:
        key = f"{keys.of_prediction(row.id)}/fields.npz"
        if not self.blobs.exists(key):
            raise ConflictError(
                f"prediction {row.id} kept no fields because its outputs were empty; predict again with outputs "
                '["fields"]'
            )
        return self.blobs.path(key)

    def _answer(self, row: PredictionRow, history: str | None = None) -> tuple[Problem, Fields]:
        """The problem and its answer, all of it or one history."""
        path = self._fields_file(row)
        request = PredictionRequest.model_validate_json(row.request)
        mesh = load_mesh(self.blobs.path(f"{keys.of_mesh(row.mesh_id)}/mesh.npz"))
        problem = build_problem(request.problem(), mesh, name=row.name)
        if history is None:
            return problem, load_fields(path)
        known = [entry for entry in problem.load_histories if entry.name == history]
        if not known:
            names = ", ".join(repr(entry.name) for entry in problem.load_histories)
            raise InputError(f"no load history {history!r}; choose one of {names}")
        return replace(problem, load_histories=tuple(known)), load_fields(path, history=history)

    def _choose(self, row: PredictionRow, history: str | None, step: int | None) -> Choice:
        """The wanted step alone; the worst history and its peak step where none is named."""
        summary = self.summary(row)
        problem, fields = self._answer(row, history or summary.ranking[0])
        found = fields.histories[0]
        stored: list[int] = found.steps.tolist()
        if not stored:
            raise ConflictError(f"load history {found.name!r} reached no step: {found.collapse}")
        if step is None:
            peak = next(entry.peak_step for entry in summary.histories if entry.name == found.name)
            step = peak if peak is not None and peak in stored else stored[-1]
        if step not in stored:
            raise InputError(f"step {step} of {found.name!r} is not stored; stored steps are {stored}")
        return Choice(problem, fields, found.name, step)


def _key(history: str | None, step: int | None) -> str:
    """A file name for a choice of the user's, which may hold any character."""
    if history is None and step is None:
        return "worst"
    return sha256(f"{history!r} {step!r}".encode()).hexdigest()[:16]
