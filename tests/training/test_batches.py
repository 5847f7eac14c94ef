"""A batch is what was drawn, and what is drawn depends on the generator alone."""

import numpy as np
import torch

from surrogate.model.encoder import STATE_FEATURES
from surrogate.training.batches import TrainingBatch, draw_batch, make_batch
from tests.training.wedges import HISTORIES, STEPS, training_samples


def drawn(seed: int, parts: int = 3, histories: int = 2, states: int = 3) -> TrainingBatch:
    return draw_batch(training_samples(), np.random.default_rng(seed), parts, histories, states)


def test_the_same_generator_draws_the_same_batch() -> None:
    one, again, other = drawn(5), drawn(5), drawn(6)
    assert all(a is b for a, b in zip(one.samples, again.samples, strict=True))
    assert torch.equal(one.histories, again.histories) and torch.equal(one.wanted, again.wanted)
    assert torch.equal(one.actions, again.actions)
    assert not (torch.equal(one.wanted, other.wanted) and torch.equal(one.histories, other.histories))


def test_parts_and_histories_are_drawn_once_each_while_there_are_enough() -> None:
    for seed in range(5):
        batch = drawn(seed, parts=4, histories=HISTORIES)
        assert len({id(sample) for sample in batch.samples}) == 4
        assert all(sorted(row.tolist()) == list(range(HISTORIES)) for row in batch.histories)
    more = drawn(0, parts=6, histories=HISTORIES + 2)  # more than there are: some twice
    assert len(more.samples) == 6 and more.actions.shape[1] == HISTORIES + 2


def test_the_last_step_of_each_history_is_always_decoded_and_no_state_twice() -> None:
    for seed in range(5):
        batch = drawn(seed)
        for wanted in batch.wanted.tolist():
            assert len({tuple(state) for state in wanted}) == len(wanted) == 6
            assert {(0, STEPS - 1), (1, STEPS - 1)} <= {tuple(state) for state in wanted}


def test_the_batch_holds_the_chosen_histories_of_its_parts() -> None:
    batch = drawn(3)
    for i, (sample, chosen) in enumerate(zip(batch.samples, batch.histories, strict=True)):
        assert torch.equal(batch.actions[i], sample.actions[chosen])
        assert torch.equal(batch.truth.plastic[i], sample.token_plastic[chosen])
        assert torch.equal(batch.truth.displacement[i], sample.displacement[chosen])
        assert batch.graphs[i] is sample.graph


def test_the_state_encoder_reads_the_truth_of_the_chosen_histories() -> None:
    sample = training_samples()[0]
    batch = make_batch([sample], torch.tensor([[2, 0]]), torch.tensor([[[0, 1]]]))
    features = batch.true_state_features()[0]
    cells = len(sample.graph.active)
    assert features.shape == (2 * STEPS, cells, 4, STATE_FEATURES)
    equivalent = sample.equivalent[[2, 0]].float().flatten(0, 1)
    torch.testing.assert_close(features[..., 0], torch.log1p(equivalent))
