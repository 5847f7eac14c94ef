"""Verbs that answer a problem: mesh, solve, predict, compare."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from surrogate.cli.options import (
    AnchorMeshOption,
    AnchorSizeOption,
    AsJson,
    DeviceOption,
    Fidelity,
    FidelityOption,
    ModelOption,
    OutDirectory,
    ProblemPath,
    ReferenceOption,
    Solver,
    SolverOption,
)
from surrogate.serving.terminal import console, print_json, progress_bars, reported

if TYPE_CHECKING:
    from surrogate.fields import Fields
    from surrogate.geometry.tet_mesh import TetMesh
    from surrogate.physics.problem import Problem


def mesh(
    part: Annotated[Path, typer.Argument(help="STEP, STL, OBJ, VTU, VTK, MSH, INP, BDF or NAS.", show_default=False)],
    faces: Annotated[bool, typer.Option("--faces", help="List the faces, as selectors see them.")] = False,
    length_unit: Annotated[str | None, typer.Option(help="Unit of the file where its format carries none.")] = None,
    element_size_m: Annotated[float | None, typer.Option(help="Largest element edge, m.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the mesh as VTU, with cell quality.")] = None,
    as_json: AsJson = False,
) -> None:
    """Mesh a part; print its size, quality and faces.

    Example: surrogate mesh bracket.step --faces --out bracket.vtu
    """
    with reported(as_json):
        from dataclasses import asdict

        from surrogate.geometry.part import load_part
        from surrogate.serving.console import print_mesh
        from surrogate.serving.mesh_report import cell_quality, mesh_quality
        from surrogate.serving.vtu import write_vtu

        with progress_bars() as show:
            show("mesh", 0.0)
            made = load_part(part, length_unit=length_unit, element_size_m=element_size_m)
        quality = mesh_quality(made)
        if out is not None:
            write_vtu(out, made, {}, {"quality": cell_quality(made)})
        if as_json:
            counts = {"points": len(made.points), "cells": len(made.cells), "size_m": made.size}
            print_json({**counts, "quality": asdict(quality), "faces": [asdict(face) for face in made.faces]})
        else:
            print_mesh(made, quality, console(), faces=faces)


def solve(
    file: ProblemPath, solver: SolverOption = Solver.OWN, out: OutDirectory = None, as_json: AsJson = False
) -> None:
    """Solve a problem with the reference FEM, or with CalculiX.

    Example: surrogate solve bracket.toml --solver calculix --out results
    """
    with reported(as_json):
        from surrogate.physics.solver import solve as run

        problem, seconds = _load(file)
        with progress_bars() as show:
            answer = run(problem, progress=show, solver=solver.value)
        _deliver(problem, answer, seconds, out, as_json)


def predict(
    file: ProblemPath,
    fidelity: FidelityOption = Fidelity.SURROGATE,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    anchor_size: AnchorSizeOption = None,
    anchor_mesh: AnchorMeshOption = None,
    out: OutDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Predict the answer with the world model, with 90 % intervals; a large part from a coarse anchor mesh.

    Example: surrogate predict bracket.toml --fidelity auto --json
    """
    with reported(as_json):
        from surrogate.physics.coarse_answer import LARGE_PART, coarse_answer
        from surrogate.serving.service import predict as run

        problem, seconds = _load(file)
        if anchor_size is not None or anchor_mesh is not None:
            coarse = _anchor_mesh(file, anchor_size, anchor_mesh)
            with progress_bars() as show:
                answer = coarse_answer(problem, coarse, progress=show)
        else:
            if len(problem.mesh.points) > LARGE_PART:
                typer.echo(
                    f"{len(problem.mesh.points)} points are many for a factor of their own; --anchor-size M answers "
                    "from a coarser mesh of the part, in time and memory that grow with the points",
                    err=True,
                )
            with progress_bars() as show:
                answer = run(problem, fidelity=fidelity.value, device=device, model=model, progress=show)
        _deliver(problem, answer, seconds, out, as_json)


def compare(
    file: ProblemPath,
    fidelity: FidelityOption = Fidelity.SURROGATE,
    model: ModelOption = None,
    reference: ReferenceOption = Solver.OWN,
    device: DeviceOption = "auto",
    out: OutDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Predict and solve a problem, and print the difference field by field.

    Example: surrogate compare bracket.toml --reference calculix --out comparison
    """
    with reported(as_json):
        from surrogate.physics.solver import solve as run_solve
        from surrogate.serving.service import predict as run_predict

        problem, seconds = _load(file)
        with progress_bars() as show:
            predicted = run_predict(problem, fidelity=fidelity.value, device=device, model=model, progress=show)
            solved = run_solve(problem, progress=show, solver=reference.value)
        _deliver(problem, predicted, seconds, out, as_json, reference=solved)


def _load(file: Path) -> "tuple[Problem, float]":
    """The problem, and the seconds its mesh took."""
    from surrogate.physics.problem_file import load_problem

    with progress_bars() as show:
        show("mesh", 0.0)
        started = time.perf_counter()
        problem = load_problem(file)
    return problem, time.perf_counter() - started


def _anchor_mesh(file: Path, size: float | None, given: Path | None) -> "TetMesh":
    """The coarse mesh of a problem file's part: the part meshed once more, or the mesh that is given."""
    from surrogate.errors import ProblemError
    from surrogate.geometry.file_kinds import FORMATS, file_format
    from surrogate.geometry.part import load_part
    from surrogate.physics.problem_file import read_problem_file

    if size is not None and given is not None:
        raise ProblemError("--anchor-size and --anchor-mesh both name the anchor mesh; give one of them")
    described = read_problem_file(file)
    part = given or file.parent / described.part
    if given is None and not FORMATS[file_format(part)].meshed:
        raise ProblemError(
            f"{part.name} is a volume mesh and cannot be meshed again; give a coarser one of the solid by --anchor-mesh"
        )
    with progress_bars() as show:
        show("anchor mesh", 0.0)
        return load_part(part, length_unit=described.length_unit, element_size_m=size)


def _deliver(
    problem: "Problem",
    answer: "Fields",
    mesh_seconds: float,
    out: Path | None,
    as_json: bool,
    *,
    reference: "Fields | None" = None,
) -> None:
    from surrogate.serving.console import print_summary
    from surrogate.serving.outputs import summary_of, write_outputs
    from surrogate.serving.summary import with_timing

    answer = with_timing(answer, "mesh", mesh_seconds)
    if out is None:
        summary = summary_of(problem, answer, reference)
    else:
        with progress_bars() as show:
            show("report", 0.0)
            summary = write_outputs(problem, answer, out, reference=reference)
    if as_json:
        typer.echo(summary.model_dump_json(indent=2))
    else:
        print_summary(summary, console())
    if out is not None:
        typer.echo(f"written: {out / 'report.html'}, {out / 'summary.json'}, {out / 'results.pvd'}", err=True)
