"""The command line, verbs in pipeline order. Heavy libraries are imported where a verb needs them.

Results go to standard output, progress and errors to standard error. Exit codes: 0 done; 1 a limit is breached;
2 the input is wrong; 3 infrastructure; 4 inconclusive.
"""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from surrogate.serving.terminal import console, print_json, progress_bars, reported

if TYPE_CHECKING:
    from surrogate.fields import Fields
    from surrogate.physics.problem import Problem

app = typer.Typer(
    name="surrogate",
    help="Elastoplastic load histories of parts: a reference FEM solver and a world model that predicts its answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Fidelity(StrEnum):
    """How far a prediction is taken towards the solved answer."""

    SURROGATE = "surrogate"
    REFINED = "refined"
    SOLVED = "solved"
    AUTO = "auto"


ProblemPath = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The problem file.", show_default=False)]
OutDirectory = Annotated[
    Path | None, typer.Option("--out", help="Write summary.json, a ParaView series, PNG pictures and report.html here.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and errors as an RFC 9457 body.")]
FidelityOption = Annotated[Fidelity, typer.Option(help="The world model's answer, refined, solved, or as needed.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Name of a model (see `surrogate models`) or its folder.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, or mps.")]


@app.command()
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


@app.command()
def solve(file: ProblemPath, out: OutDirectory = None, as_json: AsJson = False) -> None:
    """Solve a problem with the reference FEM.

    Example: surrogate solve bracket.toml --out results
    """
    with reported(as_json):
        from surrogate.physics.solver import solve as run

        problem, seconds = _load(file)
        with progress_bars() as show:
            answer = run(problem, progress=show)
        _deliver(problem, answer, seconds, out, as_json)


@app.command()
def predict(
    file: ProblemPath,
    fidelity: FidelityOption = Fidelity.SURROGATE,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    out: OutDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Predict the answer with the world model, with 90 % intervals.

    Example: surrogate predict bracket.toml --fidelity auto --json
    """
    with reported(as_json):
        from surrogate.serving.service import predict as run

        problem, seconds = _load(file)
        with progress_bars() as show:
            answer = run(problem, fidelity=fidelity.value, device=device, model=model, progress=show)
        _deliver(problem, answer, seconds, out, as_json)


@app.command()
def compare(
    file: ProblemPath,
    fidelity: FidelityOption = Fidelity.SURROGATE,
    model: ModelOption = None,
    device: DeviceOption = "auto",
    out: OutDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Predict and solve a problem, and print the difference field by field.

    Example: surrogate compare bracket.toml --out comparison
    """
    with reported(as_json):
        from surrogate.physics.solver import solve as run_solve
        from surrogate.serving.service import predict as run_predict

        problem, seconds = _load(file)
        with progress_bars() as show:
            predicted = run_predict(problem, fidelity=fidelity.value, device=device, model=model, progress=show)
            solved = run_solve(problem, progress=show)
        _deliver(problem, predicted, seconds, out, as_json, reference=solved)


@app.command()
def campaign(
    name: Annotated[str, typer.Option(help="Name of the campaign, and of its directory.")] = "default",
    directory: Annotated[
        Path | None, typer.Option(help="Where simulations go; by default in the user's cache.")
    ] = None,
    parts: Annotated[int, typer.Option(min=1, help="Number of parts to draw.")] = 400,
    family: Annotated[
        list[str] | None, typer.Option(help="Component family; repeat for several. Default: all.")
    ] = None,
    first_seed: Annotated[int, typer.Option(help="Seed of each family's first part.")] = 0,
    histories: Annotated[int, typer.Option(min=1, help="Load histories a part.")] = 4,
    steps: Annotated[int, typer.Option(min=8, help="Steps a history.")] = 12,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Solve many random parts as training data. Resumable: run it again to go on.

    Example: surrogate campaign --name pilot --parts 100 --workers 4
    """
    with reported(False):
        from surrogate.data import campaign as run

        families = tuple(family) if family else run.CampaignConfig().families
        config = run.CampaignConfig(
            name=name, directory=directory, families=families, part_count=parts, first_seed=first_seed,
            histories=histories, steps=steps, workers=workers,
        )  # fmt: skip
        typer.echo(run.announcement(config), err=True)
        summary = run.run_campaign(config, lambda state: typer.echo(run.progress_line(state), err=True))
        typer.echo(run.summary_lines(summary))


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="Directory of a campaign.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Directory of the run; run it again to go on.")] = Path("run"),
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps in all.")] = 8000,
    batch_parts: Annotated[int, typer.Option(min=1, help="Parts a step.")] = 4,
    learning_rate: Annotated[float, typer.Option(help="Peak of the schedule.")] = 1.5e-3,
    left_out_family: Annotated[str | None, typer.Option(help="Component family kept for the test.")] = None,
    label_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the training parts used.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the network.")] = 1,
    device: DeviceOption = "auto",
) -> None:
    """Train the world model on a campaign. Resumable: run it again to go on.

    Example: surrogate train campaigns/pilot --out runs/pilot --steps 4000
    """
    with reported(False):
        from surrogate.training import trainer
        from surrogate.training.config import TrainingConfig

        config = TrainingConfig(
            data=data, out=out, steps=steps, batch_parts=batch_parts, learning_rate=learning_rate,
            left_out_family=left_out_family, label_share=label_share, seed=seed, threads=threads, device=device,
        )  # fmt: skip
        trainer.train(config, _training_line)
        typer.echo(f"written: {out / 'model'}")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; default 8000.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of uploads and results.")] = None,
) -> None:
    """Run the REST service; SURROGATE_... variables of the environment set what is not given here.

    Example: surrogate serve --port 8080
    """
    with reported(False):
        from api.app import serve as run_service
        from api.settings import Settings

        given = {"host": host, "port": port, "data_directory": data}
        run_service(Settings.model_validate({name: value for name, value in given.items() if value is not None}))


@app.command()
def materials(as_json: AsJson = False) -> None:
    """List the library of materials.

    Example: surrogate materials --json
    """
    with reported(as_json):
        from dataclasses import asdict

        from surrogate.physics.materials import library
        from surrogate.serving.console import print_materials

        if as_json:
            print_json([asdict(material) for material in library()])
        else:
            print_materials(library(), console())


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the trained models.

    Example: surrogate models
    """
    with reported(as_json):
        from surrogate.serving.registry import list_models

        cards = list_models()
        if as_json:
            print_json([{"name": c.name, "version": c.version, "description": c.description} for c in cards])
        for card in () if as_json else cards:
            typer.echo(f"{card.name} {card.version}  {card.description}")


def _training_line(step: int, steps: int, terms: dict[str, float]) -> None:
    values = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    typer.echo(f"step {step}/{steps}: {values}", err=True)


def _load(file: Path) -> "tuple[Problem, float]":
    """The problem, and the seconds its mesh took."""
    from surrogate.physics.problem_file import load_problem

    with progress_bars() as show:
        show("mesh", 0.0)
        started = time.perf_counter()
        problem = load_problem(file)
    return problem, time.perf_counter() - started


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


if __name__ == "__main__":
    app()
