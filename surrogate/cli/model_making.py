"""Verbs that make a model: campaign, train, evaluate, calibrate, publish. All can be resumed or repeated."""

import math
from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.options import AsJson, DeviceOption
from surrogate.serving.terminal import print_json, progress_bars, reported


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
    steps: Annotated[int, typer.Option(min=8, help="Steps a history.")] = 20,
    coarse_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the parts that get a coarse mesh as well.")
    ] = 0.25,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Solve many random parts as training data. Resumable: run it again to go on.

    Example: surrogate campaign --name pilot --parts 100 --workers 4
    """
    with reported(False):
        from surrogate.data import campaign as run
        from surrogate.data.campaign_index import progress_line, summary_lines

        families = tuple(family) if family else run.CampaignConfig().families
        config = run.CampaignConfig(
            name=name, directory=directory, families=families, part_count=parts, first_seed=first_seed,
            histories=histories, steps=steps, coarse_share=coarse_share, workers=workers,
        )  # fmt: skip
        typer.echo(run.announcement(config), err=True)
        summary = run.run_campaign(config, lambda state: typer.echo(progress_line(state), err=True))
        typer.echo(summary_lines(summary))


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


def evaluate(
    data: Annotated[Path, typer.Argument(help="Directory of a campaign.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="Name of a shipped model or a model's folder.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the evaluation as JSON here.")] = None,
    left_out_family: Annotated[str | None, typer.Option(help="As in training.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many parts.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Measure a model on test parts, beside its classical competitors.

    Example: surrogate evaluate campaigns/pilot --model runs/pilot/model
    """
    with reported(as_json):
        from surrogate.training import evaluation as run

        with progress_bars() as show:
            found = run.evaluate(
                model, data, left_out_family=left_out_family, limit=limit, workers=workers,
                progress=lambda done, total: show("evaluate", done / total),
            )  # fmt: skip
        if out is not None:
            run.save_evaluation(found, out)
        if as_json:
            print_json(found.as_json())
        else:
            typer.echo(run.evaluation_text(found))


def calibrate(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="The campaign that it was trained on.", show_default=False)],
    left_out_family: Annotated[str | None, typer.Option(help="As in training.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Fit a model's 90 % intervals and the edge of its domain on validation parts.

    Example: surrogate calibrate runs/pilot/model --data campaigns/pilot
    """
    with reported(False):
        from surrogate.training.calibration_run import calibrate as run

        with progress_bars() as show:
            found = run(
                model, data, left_out_family=left_out_family, workers=workers,
                progress=lambda done, total: show("calibrate", done / total),
            )  # fmt: skip
        for scalar, quantiles in found.decoded.items():
            factors = " / ".join(f"{math.exp(q):.2f}" for q in quantiles)
            typer.echo(f"{scalar}: 90 % of true values within a factor of {factors}")


def publish(
    model: Annotated[Path, typer.Argument(help="Folder of a trained and calibrated model.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="The campaign with the test parts.", show_default=False)],
    name: Annotated[str, typer.Option(help="How predictions name the model.")],
    summary: Annotated[str, typer.Option(help="One sentence for the list of models.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="What `surrogate evaluate --out` wrote; evaluated anew where not given.")
    ] = None,
    destination: Annotated[Path | None, typer.Option(help="Where models ship from.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Write a model's card and put it where models ship from.

    Example: surrogate publish runs/pilot/model --data campaigns/pilot --name pilot --summary "Brackets of steel."
    """
    with reported(False):
        from surrogate.serving.registry import SHIPPED
        from surrogate.training import evaluation as run
        from surrogate.training.publishing import publish as put

        if evaluation is not None:
            found = run.load_evaluation(evaluation)
        else:
            with progress_bars() as show:
                found = run.evaluate(
                    str(model), data, workers=workers, progress=lambda done, total: show("evaluate", done / total)
                )
        typer.echo(f"written: {put(model, found, name=name, summary=summary, destination=destination or SHIPPED)}")


def _training_line(step: int, steps: int, terms: dict[str, float]) -> None:
    values = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    typer.echo(f"step {step}/{steps}: {values}", err=True)
