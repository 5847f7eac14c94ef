"""Fine-tuning of the small networks of the ablations on a family that they have not seen."""

import time
from dataclasses import dataclass, replace

from torch import Tensor

from surrogate.training.token_data import TokenTable
from surrogate.training.token_jepa import TokenRun, TokenSettings, source
from surrogate.training.token_training import TokenTraining, judged_errors, quantiles


@dataclass(frozen=True)
class TunedTokens:
    """Errors on parts of a new family, "scalar" -> median and 90th percentile.

    Attributes:
        anchor: what the features know, alone.
        before: a model that has not seen the family.
        after: the same model, trained on with parts of it.
        alone: a model that has seen these parts only, in as many steps as both runs have.
        seconds: CPU time of all of it.
    """

    anchor: dict[str, tuple[float, float]]
    before: dict[str, tuple[float, float]]
    after: dict[str, tuple[float, float]]
    alone: dict[str, tuple[float, float]]
    seconds: float


def fine_tune_tokens(
    run: TokenRun, settings: TokenSettings, tables: tuple[TokenTable, TokenTable, TokenTable], own_steps: int
) -> TunedTokens:
    """Train without a family, then on parts of it, at a third of the learning rate.

    Args:
        run: of the first training.
        settings: of both.
        tables: parts of other families, of the new family to train on, and of it to judge by.
        own_steps: optimiser steps of the second training.
    """
    started = time.process_time()
    others, own, judged = tables
    state, seen = TokenTraining(run, settings, others), source(judged, others, run)
    state.optimise(run.steps, 0)
    before, anchor = judged_errors(state.average, seen, 0)
    state.settings = replace(settings, learning_rate=settings.learning_rate / 3)
    state.learn_from(source(own, others, run))
    state.optimise(own_steps, 0)
    after, _ = judged_errors(state.average, seen, 0)
    single = TokenTraining(run, settings, own)
    single.optimise(run.steps + own_steps, 0)
    alone, _ = judged_errors(single.average, source(judged, own, run), 0)

    def told(errors: dict[str, Tensor]) -> dict[str, tuple[float, float]]:
        return {name: quantiles(values) for name, values in errors.items()}

    return TunedTokens(told(anchor), told(before), told(after), told(alone), time.process_time() - started)
