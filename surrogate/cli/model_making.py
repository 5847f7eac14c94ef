"""Verbs that make a model: campaign, train, evaluate, calibrate, publish. All can be resumed or repeated."""

import math
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.options import AsJson, DeviceOption
from surrogate.serving.terminal import print_json, progress_bars, reported


class Measure(StrEnum):
    """What `evaluate` measures."""

    ACCURACY = "accuracy"
    RANKING = "ranking"
    HORIZON = "horizon"


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
    campaign: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="Directory of a campaign; or give --data.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Directory of a campaign or of imported simulations.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Directory of the run; run it again to go on.")] = Path("run"),
    start: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune: name of a shipped model, or a model's folder, to start from."),
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Campaign that some steps draw from, so that it is not forgotten.")
    ] = None,
    replay_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of such steps.")] = 0.5,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps in all. Default: 8000, with --from 400.")
    ] = None,
    batch_parts: Annotated[int, typer.Option(min=1, help="Parts a step.")] = 4,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak of the schedule. Default: 1.5e-3, with --from 2e-4.")
    ] = None,
    left_out_family: Annotated[str | None, typer.Option(help="Component family kept for the test.")] = None,
    label_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the training parts used.")] = 1.0,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the network.")] = 1,
    device: DeviceOption = "auto",
) -> None:
    """Train the world model on a campaign, or fine-tune a model on one's own simulations. Resumable.

    Example: surrogate train campaigns/pilot --out runs/pilot --steps 4000
    Example: surrogate train --from runs/pilot/model --data my_data --out runs/mine
    """
    with reported(False):
        from surrogate.errors import InputError
        from surrogate.serving.registry import find_model
        from surrogate.training import config as settings
        from surrogate.training import distributed, trainer

        source = campaign or data
        if source is None or (campaign and data):
            raise InputError("give the directory of a campaign once, as DATA or as --data")
        fresh = start is None
        config = settings.TrainingConfig(
            data=source, out=out, start=None if start is None else find_model(_model_in(start)),
            replay=replay, replay_share=replay_share,
            steps=steps or (settings.STEPS if fresh else settings.FINE_TUNING_STEPS), batch_parts=batch_parts,
            learning_rate=learning_rate or (settings.LEARNING_RATE if fresh else settings.FINE_TUNING_RATE),
            left_out_family=left_out_family, label_share=label_share, save_every=save_every, seed=seed,
            threads=threads, device=device,
        )  # fmt: skip
        trainer.train(config, _training_line)
        if distributed.rank() == 0:
            if not fresh:
                typer.echo(trainer.gain_line(out))
            typer.echo(f"written: {out / 'model'}; next: surrogate calibrate {out / 'model'} --data {source}")
        distributed.finish()


def _model_in(start: str) -> str:
    """The model that a run left in its directory, or what was named."""
    inside = Path(start) / "model"
    return str(inside) if inside.is_dir() else start


def evaluate(
    data: Annotated[Path, typer.Argument(help="Directory of a campaign.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="Name of a shipped model or a model's folder.")] = None,
    measure: Annotated[
        Measure,
        typer.Option(help="Errors on test parts; how well 200 histories are ranked; histories 3 times as long."),
    ] = Measure.ACCURACY,
    out: Annotated[Path | None, typer.Option("--out", help="Write what is measured as JSON here.")] = None,
    methods: Annotated[
        list[str] | None, typer.Option("--methods", help="How a method's name begins; repeat for several.")
    ] = None,
    left_out_family: Annotated[str | None, typer.Option(help="As in training.")] = None,
    family: Annotated[str | None, typer.Option(help="Parts of this family only.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many parts.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    keep: Annotated[
        bool, typer.Option(help="Keep each part's errors in the user's cache, and go on from them.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure a model on test parts, beside its classical competitors. Resumable: run it again to go on.

    Example: surrogate evaluate campaigns/pilot --model runs/pilot/model
    """
    with reported(as_json):
        from surrogate.training import evaluation, horizon_evaluation, ranking_evaluation
        from surrogate.training.evaluation_table import evaluation_text, save_json

        with progress_bars() as show:
            progress = _counted(lambda done, total: show("evaluate", done / total))
            chosen = tuple(methods or ())
            if measure is Measure.RANKING:
                ranking = ranking_evaluation.rank(model, data, limit=limit, methods=chosen, progress=progress)
                values, text = ranking.as_json(), ranking_evaluation.ranking_text(ranking)
            elif measure is Measure.HORIZON:
                horizon = horizon_evaluation.far(model, data, limit=limit, methods=chosen, progress=progress)
                values, text = horizon.as_json(), horizon_evaluation.horizon_text(horizon)
            else:
                cache = evaluation.default_cache(data) if keep else None
                found = evaluation.evaluate(
                    model, data, left_out_family=left_out_family, only_family=family, limit=limit, methods=chosen,
                    cache=cache, workers=workers, progress=progress,
                )  # fmt: skip
                values, text = found.as_json(), evaluation_text(found)
        if out is not None:
            save_json(values, out)
        if as_json:
            print_json(values)
        else:
            typer.echo(text)


def _counted(show: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Shows parts done, where standard error is no terminal as a line for each tenth of them."""

    def progress(done: int, total: int) -> None:
        show(done, total)
        if not sys.stderr.isatty() and (done == total or done % max(1, total // 10) == 0):
            typer.echo(f"{done} of {total} parts", err=True)

    return progress


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
        from surrogate.training.evaluation_table import load_evaluation
        from surrogate.training.publishing import publish as put

        if evaluation is not None:
            found = load_evaluation(evaluation)
        else:
            with progress_bars() as show:
                found = run.evaluate(
                    str(model), data, workers=workers, progress=lambda done, total: show("evaluate", done / total)
                )
        folder = put(model, found, data, name=name, summary=summary, destination=destination or SHIPPED)
        typer.echo(f"written: {folder}")


def _training_line(step: int, steps: int, terms: dict[str, float]) -> None:
    values = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    typer.echo(f"step {step}/{steps}: {values}", err=True)
