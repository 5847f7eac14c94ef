"""A trained, calibrated and evaluated model becomes one that ships: weights, description, card."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from surrogate.errors import InputError
from surrogate.model.checkpoint import WEIGHTS, load_checkpoint, parameter_count
from surrogate.model.description import DESCRIPTION, read_description, write_description
from surrogate.serving.registry import CARD, SHIPPED
from surrogate.training.collapse import CollapseReport
from surrogate.training.evaluation_table import Evaluation, table_text
from surrogate.training.part_evaluation import METRICS, MODEL, REFINED, reduced_name
from surrogate.training.worst_parts import DrawnPart, draw_worst_parts

LARGEST_BYTES = 10_000_000
EVALUATION = "evaluation.json"


def publish(
    model: Path, evaluation: Evaluation, data: Path, *, name: str, summary: str, destination: Path = SHIPPED
) -> Path:
    """Copy a model to where it ships from, draw its worst parts and write its card.

    Args:
        model: folder of the trained and calibrated model.
        evaluation: on test parts.
        data: the campaign with these parts.
        name: how predictions name it.
        summary: one sentence.
        destination: where models ship from.

    Returns:
        The shipped model's folder.

    Raises:
        InputError: not calibrated, or over the size that ships.
    """
    description = read_description(model)
    if "calibration" not in description or "domain" not in description:
        raise InputError(f"the model in {model.name!r} is not calibrated; run `surrogate calibrate` first")
    size = (model / WEIGHTS).stat().st_size
    if size > LARGEST_BYTES:
        raise InputError(f"weights of {size / 1e6:.1f} MB are over the {LARGEST_BYTES / 1e6:.0f} MB that ship")
    folder = destination / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model / WEIGHTS, folder / WEIGHTS)
    digest = hashlib.sha256((model / WEIGHTS).read_bytes()).hexdigest()
    version = f"{datetime.now(UTC):%Y.%m.%d}-{digest[:8]}"
    write_description(folder, {**description, "version": version, "summary": summary, "sha256": digest})
    (folder / EVALUATION).write_text(json.dumps(evaluation.as_json(), indent=1) + "\n")
    drawn = draw_worst_parts(model, data, evaluation, folder)
    (folder / CARD).write_text(card_text(folder, evaluation, drawn))
    return folder


def card_text(folder: Path, evaluation: Evaluation, drawn: tuple[DrawnPart, ...]) -> str:
    """The model card, from the description, the evaluation and the worst parts."""
    description = read_description(folder)
    training, collapse, config = description["training"], description["collapse"], description["model"]
    assert isinstance(training, dict) and isinstance(collapse, dict) and isinstance(config, dict)
    count = parameter_count(load_checkpoint(folder).model)
    coverage = "\n".join(f"| {scalar} | {100 * share:.1f} % |" for scalar, share in evaluation.coverage.items())
    monitors = "\n".join(f"| {monitor} | {value:.2f} |" for monitor, value in collapse.items())
    return f"""# {folder.name}, version {description["version"]}

{description["summary"]}

- Graph JEPA, {count:,} parameters, {config["tokens"]} tokens of width {config["width"]}; sizes and training settings in
  [{DESCRIPTION}]({DESCRIPTION}), weights in [{WEIGHTS}]({WEIGHTS}) (sha256 {description["sha256"]}).
- Trained for {description["step"]} steps: grounding on plastic strain and scalars,
  {training["latent_weight"]:g} x latent prediction, {training["collapse_weight"]:g} x variance-covariance.
- It reads the reduced anchor (the elastoplastic problem solved in the span of a few dozen displacement modes) and
  corrects its plastic strain in histories that the modes have not brought to rest. Of the others it says nothing: their
  answer is solved physics.
- For: small-strain J2 plasticity with isotropic hardening (linear, Voce or tabulated), quasi-static load histories,
  parts like those it was trained on. The domain check tells where a problem is unlike them; the interval tells how
  wrong answers there may be.
- Not for: large displacement, contact, kinematic hardening, softening, fatigue life. The mesh decides the elastic
  answer; the model cannot be better than it.

## Errors on {evaluation.parts} test parts, {evaluation.histories} histories that yield

Relative errors, median / 90th percentile / worst, per cent, against FEM on the same mesh. No test part was
used for training, for choosing or for calibration. CPU seconds are for all histories of a part, the elastic anchor's
factor not counted. "Straight from tokens" decodes nothing; "refined" goes on with rounds of modes until none moves a
history by more than 1 %.

{table_text(evaluation)}

{_verdict(evaluation)}

## Coverage of the 90 % intervals on the same parts

| scalar | true values inside |
| --- | --- |
{coverage}

{100 * evaluation.inside:.0f} % of these parts are judged to be inside of the training domain. {_silent(evaluation)}

## By family

Median / 90th percentile of the error of the plastic strain at the peak, per cent.

{_families(evaluation)}

## Where it fails

The five parts with the largest error of the plastic strain. Each picture shows the plastic strain of the history that
is missed most: predicted, solved, and the difference.

{_worst(evaluation, drawn)}

## Latent space on validation parts

| monitor | value |
| --- | --- |
{monitors}

{_alarms(collapse)} Alarms: rank within a part below 2, dynamic share below 0.15, shuffled ratio not above 1, drift
above 2.
"""


def _silent(evaluation: Evaluation) -> str:
    if evaluation.failures is None or evaluation.silent is None:
        return ""
    return (
        f"The peak plastic strain is more than 20 % off in {100 * evaluation.failures:.1f} % of the histories; "
        f"{100 * evaluation.silent:.1f} % are so without a wide interval or a domain warning."
    )


def _families(evaluation: Evaluation) -> str:
    shown = [name for name in (reduced_name(1), MODEL, REFINED) if name in evaluation.table]
    lines = ["| family | " + " | ".join(shown) + " |", "| --- |" + " --- |" * len(shown)]
    for family, methods in evaluation.families.items():
        errors = [methods.get(name, {}).get(METRICS[0]) for name in shown]
        cells = [" / ".join(f"{100 * value:.1f}" for value in pair) if pair else "" for pair in errors]
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _worst(evaluation: Evaluation, drawn: tuple[DrawnPart, ...]) -> str:
    texts = []
    for part, shown in zip(evaluation.worst, drawn, strict=True):
        beside = ", ".join(f"{name} {100 * error:.0f} %" for name, error in part.errors.items() if name != MODEL)
        warning = "the domain check warned" if shown.warned else "the domain check did not warn"
        texts.append(
            f"**{part.name}**: error {100 * part.errors[MODEL]:.0f} % (beside it: {beside}). Largest plastic strain "
            f"{100 * shown.peak_plastic:.2f} %, predicted {100 * shown.predicted_peak:.2f} %; {warning}; imbalance "
            f"{shown.imbalance:.3f}.\n\n![{part.name}]({shown.picture.name})"
        )
    return "\n\n".join(texts)


def _verdict(evaluation: Evaluation) -> str:
    """Which competitors the model beats and which beat it, by the median error of the plastic strain at the peak."""
    metric = METRICS[0]
    own = evaluation.table["world model"][metric][0]
    others = {name: row[metric][0] for name, row in evaluation.table.items() if not name.startswith("world model")}
    beaten = ", ".join(name for name, error in others.items() if error > 1.02 * own) or "none"
    better = ", ".join(name for name, error in others.items() if error < 0.98 * own)
    text = f"By the median error of the plastic strain the model is ahead of: {beaten}."
    if not better:
        return text
    return (
        f'{text} It is behind: {better}. For one short history on a part of this size those, or `fidelity="solved"`, '
        'are the better choice; for many, `fidelity="refined"`.'
    )


def _alarms(monitors: dict[str, float]) -> str:
    alarms = CollapseReport(**monitors).alarms()
    return f"Raised: {'; '.join(alarms)}." if alarms else "None is raised."
