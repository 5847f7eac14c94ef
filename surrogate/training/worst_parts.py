"""Pictures of the parts on which a model does worst, for its card: predicted, solved and the difference."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from surrogate.data.dataset import open_dataset
from surrogate.data.simulation_file import load_simulation
from surrogate.fields import Fields
from surrogate.physics.elastic import elastic_anchor
from surrogate.serving.calibration import imbalance_of
from surrogate.serving.render import render_comparison
from surrogate.serving.service import predict
from surrogate.training.baselines import stored_truth
from surrogate.training.evaluation_table import Evaluation

# Width in pixels and number of colours of a card's picture: readable, and small enough for a repository.
_WIDTH, _COLOURS = 1200, 200


@dataclass(frozen=True)
class DrawnPart:
    """A part that was drawn.

    Attributes:
        name: of the part.
        picture: file.
        peak_plastic: true largest equivalent plastic strain.
        predicted_peak: what the model says of it.
        imbalance: label-free indicator: largest imbalance of the answer over its largest force.
        warned: whether the domain check warned.
    """

    name: str
    picture: Path
    peak_plastic: float
    predicted_peak: float
    imbalance: float
    warned: bool


def draw_worst_parts(
    model: Path,
    data: Path,
    evaluation: Evaluation,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[DrawnPart, ...]:
    """Draw each of an evaluation's worst parts in the history in which the model is worst.

    Args:
        model: the model's folder.
        data: the campaign with the test parts.
        evaluation: of that model.
        folder: where the pictures go, as `worst_1.png` and so on.
        progress: called with parts done and in all.
    """
    paths = {entry.path.stem: entry.path for entry in open_dataset(data).entries}
    drawn = []
    for number, worst in enumerate(evaluation.worst, 1):
        drawn.append(_draw(paths[worst.name], model, folder / f"worst_{number}.png"))
        progress(number, len(evaluation.worst))
    return tuple(drawn)


def _draw(simulation_path: Path, model: Path, picture: Path) -> DrawnPart:
    simulation = load_simulation(simulation_path)
    problem, anchor = simulation.problem, elastic_anchor(simulation.problem)
    truth = stored_truth(anchor, simulation)
    answer = predict(problem, model=str(model))
    peaks = [
        tuple(float(h.scalars.peak_plastic_strain.max()) for h in pair)
        for pair in zip(answer.histories, truth, strict=True)
    ]
    # The largest absolute miss is the one that a picture shows.
    worst = max(range(len(truth)), key=lambda i: abs(peaks[i][0] - peaks[i][1]))
    solved = Fields("solved", truth, anchor.system.volumes, {})
    with tempfile.TemporaryDirectory() as scratch:
        drawn = render_comparison(
            problem, answer, solved, Path(scratch), history=truth[worst].name, fields=("plastic_strain",)
        )
        _shrink(drawn[0], picture)
    warned = answer.domain is not None and not answer.domain.inside
    return DrawnPart(
        simulation_path.stem, picture, peaks[worst][1], peaks[worst][0], imbalance_of(answer.histories[worst]), warned
    )


def _shrink(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        small = image.convert("RGB").resize((_WIDTH, round(_WIDTH * image.height / image.width)))
        small.quantize(_COLOURS).save(target, optimize=True)
