"""The front door: the nouns and verbs that users need.

`solve` and `predict` take the same `Problem` and return the same `Fields`; everything else makes the one or shows
the other.
"""

from surrogate.errors import (
    CheckpointError,
    ConvergenceError,
    GeometryError,
    InfrastructureError,
    InputError,
    MaterialError,
    ProblemError,
    RigidBodyError,
    SelectorError,
    SolveError,
    SurrogateError,
    TooLargeError,
    UnsupportedFormatError,
)
from surrogate.fields import Fields, HistoryFields
from surrogate.geometry.cell_quality import mesh_volume
from surrogate.geometry.element_size import element_size
from surrogate.geometry.file_kinds import file_format
from surrogate.geometry.part import load_part
from surrogate.geometry.selector_kinds import (
    AllSelector,
    AnySelector,
    BoxSelector,
    CylinderSelector,
    FaceIdSelector,
    NameSelector,
    NotSelector,
    PlaneSelector,
)
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.physics.materials import Material, library, material_named
from surrogate.physics.problem import (
    Acceleration,
    Force,
    LoadCase,
    LoadHistory,
    Pressure,
    Problem,
    Support,
    Traction,
    ramp,
)
from surrogate.physics.problem_file import build_problem, load_problem
from surrogate.physics.problem_schema import ProblemSpec
from surrogate.physics.solver import solve
from surrogate.serving.fields_file import load_fields, load_mesh, save_fields, save_mesh
from surrogate.serving.registry import ModelCard, list_models
from surrogate.serving.render import render_comparison, render_pictures
from surrogate.serving.report import write_report
from surrogate.serving.series import write_series, write_step
from surrogate.serving.service import predict, predict_many
from surrogate.serving.summary import compare_summary, summarize
from surrogate.serving.summary_schema import Summary

__all__ = [
    "Acceleration",
    "AllSelector",
    "AnySelector",
    "BoxSelector",
    "CheckpointError",
    "ConvergenceError",
    "CylinderSelector",
    "Face",
    "FaceIdSelector",
    "Fields",
    "Force",
    "GeometryError",
    "HistoryFields",
    "InfrastructureError",
    "InputError",
    "LoadCase",
    "LoadHistory",
    "Material",
    "MaterialError",
    "ModelCard",
    "NameSelector",
    "NotSelector",
    "PlaneSelector",
    "Pressure",
    "Problem",
    "ProblemError",
    "ProblemSpec",
    "RigidBodyError",
    "SelectorError",
    "SolveError",
    "Summary",
    "Support",
    "SurrogateError",
    "TetMesh",
    "TooLargeError",
    "Traction",
    "UnsupportedFormatError",
    "build_problem",
    "compare_summary",
    "element_size",
    "file_format",
    "library",
    "list_models",
    "load_fields",
    "load_mesh",
    "load_part",
    "load_problem",
    "material_named",
    "mesh_volume",
    "predict",
    "predict_many",
    "ramp",
    "render_comparison",
    "render_pictures",
    "save_fields",
    "save_mesh",
    "solve",
    "summarize",
    "write_report",
    "write_series",
    "write_step",
]
