"""The front door: the nouns and verbs that users need.

`solve` and `predict` take the same `Problem` and return the same `Fields`; everything else makes the one or shows
the other.

The names are found when first used, so that the command line does not wait for torch to say `--help`.
"""

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from surrogate.client.client import Client
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
    from surrogate.geometry.isolation import Isolation, isolation_in_force
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
    from surrogate.physics.hardening import LinearHardening, TabulatedHardening, VoceHardening
    from surrogate.physics.material_description import material_spec
    from surrogate.physics.materials import Material, library, material_named
    from surrogate.physics.problem import (
        Acceleration,
        BearingForce,
        Force,
        LoadCase,
        LoadHistory,
        Moment,
        Pressure,
        Problem,
        RemoteForce,
        Support,
        Traction,
        ramp,
    )
    from surrogate.physics.problem_file import build_problem, load_problem
    from surrogate.physics.problem_schema import MaterialSpec, ProblemSpec
    from surrogate.physics.solver import solve
    from surrogate.serving.fields_file import load_fields, load_mesh, save_fields, save_mesh
    from surrogate.serving.registry import ModelCard, list_models
    from surrogate.serving.render import render_comparison, render_pictures
    from surrogate.serving.report import write_report
    from surrogate.serving.series import write_series, write_step
    from surrogate.serving.service import predict, predict_many
    from surrogate.serving.summary import compare_summary, summarize
    from surrogate.serving.summary_schema import Summary
    from surrogate.serving.surface_file import write_surface, write_surface_fields

__all__ = [
    "Acceleration",
    "AllSelector",
    "AnySelector",
    "BearingForce",
    "BoxSelector",
    "CheckpointError",
    "Client",
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
    "Isolation",
    "LinearHardening",
    "LoadCase",
    "LoadHistory",
    "Material",
    "MaterialError",
    "MaterialSpec",
    "ModelCard",
    "Moment",
    "NameSelector",
    "NotSelector",
    "PlaneSelector",
    "Pressure",
    "Problem",
    "ProblemError",
    "ProblemSpec",
    "RemoteForce",
    "RigidBodyError",
    "SelectorError",
    "SolveError",
    "Summary",
    "Support",
    "SurrogateError",
    "TabulatedHardening",
    "TetMesh",
    "TooLargeError",
    "Traction",
    "UnsupportedFormatError",
    "VoceHardening",
    "build_problem",
    "compare_summary",
    "element_size",
    "file_format",
    "isolation_in_force",
    "library",
    "list_models",
    "load_fields",
    "load_mesh",
    "load_part",
    "load_problem",
    "material_named",
    "material_spec",
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
    "write_surface",
    "write_surface_fields",
]

_ROOMS = {
    "surrogate.client.client": ("Client",),
    "surrogate.errors": (
        "CheckpointError",
        "ConvergenceError",
        "GeometryError",
        "InfrastructureError",
        "InputError",
        "MaterialError",
        "ProblemError",
        "RigidBodyError",
        "SelectorError",
        "SolveError",
        "SurrogateError",
        "TooLargeError",
        "UnsupportedFormatError",
    ),
    "surrogate.fields": ("Fields", "HistoryFields"),
    "surrogate.geometry.cell_quality": ("mesh_volume",),
    "surrogate.geometry.element_size": ("element_size",),
    "surrogate.geometry.file_kinds": ("file_format",),
    "surrogate.geometry.isolation": ("Isolation", "isolation_in_force"),
    "surrogate.geometry.part": ("load_part",),
    "surrogate.geometry.selector_kinds": (
        "AllSelector",
        "AnySelector",
        "BoxSelector",
        "CylinderSelector",
        "FaceIdSelector",
        "NameSelector",
        "NotSelector",
        "PlaneSelector",
    ),
    "surrogate.geometry.tet_mesh": ("Face", "TetMesh"),
    "surrogate.physics.hardening": ("LinearHardening", "TabulatedHardening", "VoceHardening"),
    "surrogate.physics.material_description": ("material_spec",),
    "surrogate.physics.materials": ("Material", "library", "material_named"),
    "surrogate.physics.problem": (
        "Acceleration",
        "BearingForce",
        "Force",
        "LoadCase",
        "LoadHistory",
        "Moment",
        "Pressure",
        "Problem",
        "RemoteForce",
        "Support",
        "Traction",
        "ramp",
    ),
    "surrogate.physics.problem_file": ("build_problem", "load_problem"),
    "surrogate.physics.problem_schema": ("MaterialSpec", "ProblemSpec"),
    "surrogate.physics.solver": ("solve",),
    "surrogate.serving.fields_file": ("load_fields", "load_mesh", "save_fields", "save_mesh"),
    "surrogate.serving.registry": ("ModelCard", "list_models"),
    "surrogate.serving.render": ("render_comparison", "render_pictures"),
    "surrogate.serving.report": ("write_report",),
    "surrogate.serving.series": ("write_series", "write_step"),
    "surrogate.serving.service": ("predict", "predict_many"),
    "surrogate.serving.summary": ("compare_summary", "summarize"),
    "surrogate.serving.summary_schema": ("Summary",),
    "surrogate.serving.surface_file": ("write_surface", "write_surface_fields"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(_import_module(_ROOM_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
