"""What goes over the wire between a client and the service: requests and responses, JSON in SI units.

The service answers with these models and the client reads them, so that the two cannot drift apart.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from surrogate.physics.problem_schema import MaterialSpec, ProblemSpec
from surrogate.serving.summary_schema import Summary

MeshStatus = Literal["queued", "meshing", "ready", "failed"]
PredictionStatus = Literal["queued", "running", "done", "failed", "cancelled"]
Fidelity = Literal["surrogate", "refined", "solved", "auto"]
Output = Literal["fields", "vtu", "png", "report"]
PictureField = Literal["von_mises", "displacement", "plastic_strain", "setup"]
Vector = tuple[float, float, float]
# What still changes by itself.
UNFINISHED: tuple[MeshStatus | PredictionStatus, ...] = ("queued", "meshing", "running")

# What a running prediction is at, in about this order; a kind of answer passes through some of them.
STAGES: Mapping[str, str] = {
    "reading the mesh": "the worker has taken the job up",
    "waiting for memory": "other answers take what memory there is",
    "waiting for the database": "the database is away; work goes on when it is back",
    "waiting for room on the disk": "the disk is full; work goes on when there is room",
    "anchor": "the elastic answer of every load case, and the reduced anchor",
    "encode": "the part becomes tokens",
    "rollout": "all histories advance in latent space",
    "decode": "the plastic strain is read at the points",
    "refine": "another round in a wider span",
    "equilibrium": "displacement and stress are brought into equilibrium",
    "worst": "of many histories the worst are answered once more, with few others",
    "solve": "nonlinear FEM, step by step",
}
_STAGES = "; ".join(f"`{name}`: {meaning}" for name, meaning in STAGES.items())


class ProblemDetails(BaseModel):
    """An error as RFC 9457 describes it."""

    type: Annotated[str, Field(description="names the kind of error; stable")] = "about:blank"
    title: str
    status: Annotated[int, Field(description="the HTTP status; of a failed job what it would have been")]
    detail: Annotated[str, Field(description="what, the value and the remedy, for people")]
    instance: Annotated[str | None, Field(description="path of the request")] = None
    errors: Annotated[list[dict[str, str]] | None, Field(description="path and detail of each finding")] = None


class MeshView(BaseModel):
    """A part; sizes appear once it is meshed: `element_size_m` is the median edge that the mesh has."""

    id: str
    status: MeshStatus
    name: str
    length_unit: str | None = None
    revision: Annotated[int, Field(description="counts the changes; ids of `/events` are revisions")] = 0
    created_at: datetime
    points: int | None = None
    cells: int | None = None
    faces: int | None = None
    volume_m3: float | None = None
    size_m: Vector | None = None
    requested_element_size_m: float | None = None
    element_size_m: float | None = None
    meshing_s: float | None = None
    links: Annotated[dict[str, str], Field(description="addresses of what there is")] = {}
    error: ProblemDetails | None = None


class MeshList(BaseModel):
    """Parts, newest first; `next` is the address of the following page, also in the header `Link`."""

    meshes: list[MeshView]
    next: str | None = None


class FaceView(BaseModel):
    """A face of the part, as selectors see it."""

    id: int
    name: str | None
    kind: Literal["plane", "cylinder", "other"]
    area_m2: float
    centroid_m: Vector
    normal: Vector | None = None
    axis: Vector | None = None
    radius_m: float | None = None
    hole: bool | None = None


class FaceList(BaseModel):
    """All faces of a part."""

    mesh: str
    faces: list[FaceView]


# Neither control characters, which databases and terminals take for commands, nor such that turn the direction of text.
_SHOWN = r"^[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+$"


class PredictionRequest(ProblemSpec):
    """A problem as in a problem file, with the id of an uploaded mesh in place of `part`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mesh: Annotated[str, Field(min_length=1, max_length=100, pattern=_SHOWN, description="id of an uploaded mesh")]
    fidelity: Annotated[
        Fidelity,
        Field(
            description="surrogate: the model's answer; refined: integrated once more in a span that the prediction "
            "widens; solved: nonlinear FEM; auto: solves what the model cannot be trusted with"
        ),
    ] = "surrogate"
    model: Annotated[str | None, Field(max_length=200, description="name of a model; default the service's")] = None
    name: Annotated[
        str | None, Field(min_length=1, max_length=200, pattern=_SHOWN, description="how reports call the problem")
    ] = None
    outputs: Annotated[
        tuple[Output, ...],
        Field(
            max_length=4,
            description="what is made along with the summary; downloads that are not named are made when asked for, "
            "unless the list is empty: then nothing but the summary is kept",
        ),
    ] = ("fields",)

    def problem(self) -> ProblemSpec:
        """The problem alone."""
        return ProblemSpec.model_validate(self.model_dump(include=set(ProblemSpec.model_fields)))


class ProgressView(BaseModel):
    """How far a mesh or a prediction is: the data of an event of `/events`."""

    status: MeshStatus | PredictionStatus
    stage: Annotated[str | None, Field(description=f"what is being done. {_STAGES}")] = None
    progress: Annotated[float, Field(ge=0, le=1, description="share of the stage")] = 0.0
    revision: Annotated[int, Field(description="counts the changes; the id of the event")]


class PredictionView(BaseModel):
    """A prediction and how far it is; `summary` is the structure of summary.json."""

    id: str
    mesh: str
    name: str
    fidelity: Fidelity
    status: PredictionStatus
    stage: Annotated[str | None, Field(description=f"what is being done. {_STAGES}")] = None
    progress: Annotated[float, Field(ge=0, le=1, description="share of the stage")] = 0.0
    revision: Annotated[int, Field(description="counts the changes; ids of `/events` are revisions")] = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    verifies: Annotated[str | None, Field(description="the prediction that this FEM solution verifies")] = None
    links: Annotated[dict[str, str], Field(description="addresses of what there is")] = {}
    summary: Summary | None = None
    error: ProblemDetails | None = None


class PredictionList(BaseModel):
    """Predictions, newest first; `next` is the address of the following page, also in the header `Link`."""

    predictions: list[PredictionView]
    next: str | None = None


class MaterialView(MaterialSpec):
    """A material of the library, as a problem may give it as a table.

    Attributes:
        hardening_modulus_pa: secant slope of the yield stress from 0 to 2 % plastic strain; no key of a problem.
    """

    hardening_modulus_pa: float


class MaterialList(BaseModel):
    """The library of materials."""

    materials: list[MaterialView]


class ModelView(BaseModel):
    """A model that can answer."""

    name: str
    version: str
    description: str


class ModelCardView(ModelView):
    """A model with its whole card: training domain, error table, calibration; Markdown."""

    card: str


class ModelList(BaseModel):
    """The models that are installed."""

    models: list[ModelView]


class Health(BaseModel):
    """Whether the service is well; `checks` names what was looked at."""

    status: Literal["ok", "unavailable"]
    version: str
    checks: dict[str, str] = {}
