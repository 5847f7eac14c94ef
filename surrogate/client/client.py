"""The service as Python objects.

with Client("http://127.0.0.1:8000") as client:
    prediction = client.predict(Path("meshes/bracket.toml"))
    summary = prediction.wait(print)
"""

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import httpx

from surrogate.client.arrays import SurfaceArrays, surface_arrays
from surrogate.client.connection import Body, Connection
from surrogate.client.errors import JobFailedError
from surrogate.client.prediction import PATH as PREDICTIONS
from surrogate.client.prediction import Prediction, Progress
from surrogate.client.watching import follow
from surrogate.client.wire import (
    UNFINISHED,
    FaceList,
    FaceView,
    Fidelity,
    Health,
    MaterialList,
    MaterialView,
    MeshList,
    MeshView,
    ModelCardView,
    ModelList,
    ModelView,
    Output,
    PredictionList,
    PredictionRequest,
    PredictionStatus,
    PredictionView,
    ProblemDetails,
)
from surrogate.errors import ProblemError
from surrogate.physics.problem import Problem
from surrogate.physics.problem_file import problem_spec, read_problem_file
from surrogate.physics.problem_schema import ProblemSpec

MESHES = "/v1/meshes"
_PAGE = 100


class Client:
    """A client of one service; usable as a context manager, and by one thread at a time.

    Requests are repeated when the connection breaks, and when the service says that it is busy (429, 503), after the
    time that it asks for. A repeated `predict` never makes two predictions.

    Args:
        base_url: address of the service.
        api_key: the key, as `surrogate keys create` printed it; None for a service on this machine without keys.
        timeout_s: longest silence within a request, s; waiting for an answer is not bounded by it.
        attempts: how often a request is tried.
        transport: of httpx, to reach the service otherwise.

    Errors are of `surrogate.client.errors`: ClientError and what is below it.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        timeout_s: float = 60.0,
        attempts: int = 6,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            base_url, api_key=api_key, timeout_s=timeout_s, attempts=attempts, transport=transport
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    def health(self) -> Health:
        """Whether the service can answer: its database, its workers, its files.

        Raises:
            UnreachableError: there is none.
        """
        return self._connection.read(Health, "GET", "/readyz", accepted=(503,))

    def upload(
        self,
        part: Path,
        *,
        length_unit: str | None = None,
        element_size_m: float | None = None,
        progress: Progress | None = None,
        timeout_s: float | None = None,
    ) -> MeshView:
        """Uploads a part and waits until it is meshed; one that is there already is not meshed again.

        Args:
            part: a STEP, STL, OBJ, VTU, VTK, MSH, INP, BDF or NAS file, also `.gz`.
            length_unit: of the coordinates, needed where the format carries none.
            element_size_m: wanted element size, m; None chooses it from the part.
            progress: called with the status while it waits.
            timeout_s: how long to wait for the mesh at most, s.

        Raises:
            JobFailedError: it was accepted and could not be meshed.
            InvalidError: it cannot be read or meshed.
            ClientError: otherwise refused or unreachable.
        """
        form = {} if length_unit is None else {"length_unit": length_unit}
        if element_size_m is not None:
            form["element_size_m"] = repr(element_size_m)
        content = part.read_bytes()
        body = Body(files={"file": (part.name, content)}, form=form)
        view = self._connection.read(MeshView, "POST", MESHES, body=body)
        if view.status in UNFINISHED:
            for seen in follow(self._connection, f"{MESHES}/{view.id}", timeout_s=timeout_s):
                if progress is not None:
                    progress(seen.stage or seen.status, seen.progress)
            view = self.mesh(view.id)
        if view.status == "failed":
            raise JobFailedError(view.error or ProblemDetails(title="failed", status=500, detail=f"{part.name} failed"))
        return view

    def upload_part_of(
        self,
        problem_file: Path,
        *,
        part: Path | None = None,
        progress: Progress | None = None,
        timeout_s: float | None = None,
    ) -> MeshView:
        """Uploads the part of a problem file, with the length unit and the element size that the file gives.

        Args:
            problem_file: the problem.
            part: another part in its place.
            progress: called with the status while it waits.
            timeout_s: how long to wait for the mesh at most, s.

        Raises:
            ProblemError: the file cannot be read.
            ClientError: as of `upload`.
        """
        file = read_problem_file(problem_file)
        return self.upload(
            part or problem_file.parent / file.part,
            length_unit=file.length_unit,
            element_size_m=file.element_size_m,
            progress=progress,
            timeout_s=timeout_s,
        )

    def mesh(self, mesh: MeshView | str) -> MeshView:
        """A part that was uploaded earlier."""
        return self._connection.read(MeshView, "GET", f"{MESHES}/{_id(mesh)}")

    def meshes(self) -> Iterator[MeshView]:
        """All parts of this key, newest first."""
        address: str | None = f"{MESHES}?limit={_PAGE}"
        while address is not None:
            page = self._connection.read(MeshList, "GET", address)
            yield from page.meshes
            address = page.next

    def faces(self, mesh: MeshView | str) -> list[FaceView]:
        """The faces of a part, with what selectors compare with."""
        return self._connection.read(FaceList, "GET", f"{MESHES}/{_id(mesh)}/faces").faces

    def surface(self, mesh: MeshView | str) -> SurfaceArrays:
        """The surface of a part as arrays; `Prediction.fields` has its values at the same points."""
        return surface_arrays(self._connection.send("GET", f"{MESHES}/{_id(mesh)}/surface").content)

    def content(self, mesh: MeshView | str) -> bytes:
        """The file as it was uploaded."""
        return self._connection.send("GET", f"{MESHES}/{_id(mesh)}/content").content

    def delete_mesh(self, mesh: MeshView | str) -> None:
        """Forgets a part.

        Raises:
            ConflictError: predictions need it, or it is being meshed.
        """
        self._connection.send("DELETE", f"{MESHES}/{_id(mesh)}")

    def predict(
        self,
        problem: Path | ProblemSpec | Problem,
        *,
        mesh: MeshView | str | None = None,
        fidelity: Fidelity = "surrogate",
        model: str | None = None,
        name: str | None = None,
        outputs: tuple[Output, ...] = ("fields",),
        idempotency_key: str | None = None,
    ) -> Prediction:
        """Asks for a prediction and returns at once; `wait` for its answer.

        Args:
            problem: a problem file, whose part is uploaded unless a mesh is given; or its structure; or a problem.
            mesh: an uploaded part.
            fidelity: "surrogate", "refined", "solved" or "auto".
            model: name of a model; None takes the service's.
            name: how reports call the problem; None takes the part's name.
            outputs: what is made along with the answer; nothing keeps the summary alone.
            idempotency_key: the same one asks for the same prediction; None makes one for this call.

        Raises:
            ProblemError: a problem without a mesh.
            InvalidError: a selector, material or history that does not fit the part.
            ClientError: otherwise refused or unreachable.
        """
        if isinstance(problem, Path):
            mesh = mesh if mesh is not None else self.upload_part_of(problem)
            problem = read_problem_file(problem)
        elif isinstance(problem, Problem):
            problem = problem_spec(problem)
        if mesh is None:
            raise ProblemError("a problem without a file does not say where its part is; upload it and give mesh=...")
        request = PredictionRequest(
            **{key: getattr(problem, key) for key in ProblemSpec.model_fields},
            mesh=_id(mesh),
            fidelity=fidelity,
            model=model,
            name=name,
            outputs=outputs,
        )
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        body = Body(json=request.model_dump_json(exclude_none=True))
        view = self._connection.read(PredictionView, "POST", PREDICTIONS, body=body, headers=headers)
        return Prediction(self._connection, view)

    def prediction(self, prediction_id: str) -> Prediction:
        """A prediction that was asked for earlier."""
        view = self._connection.read(PredictionView, "GET", f"{PREDICTIONS}/{prediction_id}")
        return Prediction(self._connection, view)

    def predictions(
        self, *, mesh: MeshView | str | None = None, status: PredictionStatus | None = None
    ) -> Iterator[Prediction]:
        """All predictions of this key, newest first, verifications too; without their summaries."""
        query = {"limit": str(_PAGE)}
        if mesh is not None:
            query["mesh"] = _id(mesh)
        if status is not None:
            query["status"] = status
        page = self._connection.read(PredictionList, "GET", PREDICTIONS, query=query)
        while True:
            yield from (Prediction(self._connection, view) for view in page.predictions)
            if page.next is None:
                return
            page = self._connection.read(PredictionList, "GET", page.next)

    def materials(self) -> list[MaterialView]:
        """The library of materials."""
        return self._connection.read(MaterialList, "GET", "/v1/materials").materials

    def models(self) -> list[ModelView]:
        """The models that can answer; the first is the default."""
        return self._connection.read(ModelList, "GET", "/v1/models").models

    def model(self, name: str) -> ModelCardView:
        """A model with its card."""
        return self._connection.read(ModelCardView, "GET", f"/v1/models/{name}")


def _id(mesh: MeshView | str) -> str:
    return mesh if isinstance(mesh, str) else mesh.id
