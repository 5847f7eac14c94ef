"""What a training run is; saved whole in the checkpoint."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from surrogate.model.jepa import ModelConfig

# Without another word a run takes so many steps at such a rate, and less of both where it starts from a trained model:
# what is known is to be moved, not forgotten. At 5e-4 the error on validation parts of a new family rose by a third.
STEPS, LEARNING_RATE = 8000, 1.5e-3
FINE_TUNING_STEPS, FINE_TUNING_RATE = 400, 2e-4


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run.

    Attributes:
        data: folder of a campaign.
        out: folder of the run: checkpoints, log, final model.
        model: sizes of the network; those of the model it starts from, where it starts from one.
        start: folder of a model whose weights the run starts from; None starts from random ones.
        replay: folder of another campaign that some steps draw their parts from, so that it is not forgotten; or None.
        replay_share: share of such steps.
        steps: optimiser steps in all.
        batch_parts: parts a step.
        batch_histories: histories of each part a step.
        batch_states: states decoded of each history a step.
        one_step_states: steps of each history predicted from the encoded state before.
        learning_rate: peak; cosine to a hundredth after a warm-up.
        weight_decay: of AdamW.
        latent_weight: of the JEPA term; 0 trains the same network with supervision only.
        collapse_weight: of the variance-covariance term.
        inverse_weight: of inverse dynamics.
        decoder_only_share: last share of the steps in which only the decoders learn.
        average_decay: of the exponential moving average of the weights.
        label_share: share of the training parts used.
        left_out_family: family kept for the test, or None.
        save_every: steps between resumable checkpoints.
        validation_parts: parts that each of these is judged on, at most.
        seed: of everything random.
        threads: torch threads.
        device: "auto", "cpu" or "cuda"; a GPU computes the losses in bfloat16 where that is safe.
    """

    data: Path
    out: Path
    model: ModelConfig = field(default_factory=ModelConfig)
    start: Path | None = None
    replay: Path | None = None
    replay_share: float = 0.5
    steps: int = STEPS
    batch_parts: int = 4
    batch_histories: int = 2
    batch_states: int = 2
    one_step_states: int = 4
    learning_rate: float = LEARNING_RATE
    weight_decay: float = 1e-2
    latent_weight: float = 1.0
    collapse_weight: float = 0.3
    inverse_weight: float = 0.1
    decoder_only_share: float = 0.1
    average_decay: float = 0.998
    label_share: float = 1.0
    left_out_family: str | None = None
    save_every: int = 200
    validation_parts: int = 48
    seed: int = 0
    threads: int = 1
    device: str = "auto"

    def as_json(self) -> dict[str, object]:
        """Plain values for the checkpoint; where data and models lay is left out."""
        values = asdict(self)
        return {key: value for key, value in values.items() if key not in ("data", "out", "start", "replay")}
