"""A batch is what was drawn, and what is drawn depends on the generator alone."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from surrogate.model.decoder import AnchorState
from surrogate.model.invariant_features import INCREMENT_FEATURES
from surrogate.training.batches import TrainingBatch, draw_batch, make_batch
from surrogate.training.samples import STATES_KEPT, TrainingSample
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


@pytest.mark.parametrize("states", [1, 2, STATES_KEPT])
def test_each_history_gives_so_many_of_its_kept_states_none_twice(states: int) -> None:
    seen = set()
    for seed in range(6):
        for wanted in drawn(seed, states=states).wanted.tolist():
            assert len({tuple(state) for state in wanted}) == len(wanted) == 2 * states
            assert [history for history, _ in wanted] == [0] * states + [1] * states
            seen |= {kept for _, kept in wanted}
    assert seen == set(range(STATES_KEPT))  # in the long run all of them


def test_a_part_that_keeps_fewer_states_than_are_asked_gives_some_twice() -> None:
    wanted = drawn(0, states=STATES_KEPT + 2).wanted
    assert wanted.shape == (3, 2 * (STATES_KEPT + 2), 2) and int(wanted[..., 1].max()) == STATES_KEPT - 1


def test_the_batch_holds_the_chosen_histories_of_its_parts() -> None:
    batch = drawn(3)
    for i, (sample, chosen) in enumerate(zip(batch.samples, batch.histories, strict=True)):
        assert torch.equal(batch.actions[i], sample.actions[chosen].float())
        assert torch.equal(batch.truth.plastic[i], sample.token_plastic[chosen])
        assert torch.equal(batch.truth.displacement[i], sample.displacement[chosen])
        assert torch.equal(batch.truth.von_mises[i], sample.token_von_mises[chosen])
        assert torch.equal(batch.truth.permanent_set[i], sample.permanent_set[chosen])
        assert torch.equal(batch.displacement_features[i], sample.displacement_features[chosen])
        assert torch.equal(batch.pooled[i], sample.pooled[chosen].float())
        assert batch.graphs[i] is sample.graph


def test_the_decoded_states_are_the_wanted_ones_of_the_chosen_histories() -> None:
    sample = training_samples()[0]
    wanted = torch.tensor([[[1, 0], [0, 2], [1, 1]]])
    batch = make_batch([sample], torch.tensor([[2, 0]]), wanted)
    states = batch.decoded(0)
    assert states.position.tolist() == [1, 0, 1]
    for i, (history, kept) in enumerate(((0, 0), (2, 2), (0, 1))):
        assert int(states.step[i]) == int(sample.kept[history, kept])
        assert torch.equal(states.strain[i], sample.strain[history, kept].float())
        assert torch.equal(states.equivalent[i], sample.equivalent[history, kept].float())
        alone = sample.anchor(torch.tensor([[history, kept]]))
        for field in fields(AnchorState):
            found = getattr(states.anchor, field.name)[i]
            torch.testing.assert_close(found, getattr(alone, field.name)[0], rtol=1e-5, atol=1e-6, msg=field.name)


def cut(sample: TrainingSample, steps: int) -> TrainingSample:
    """The sample with its histories cut off after so many steps."""
    names = (
        "factors", "actions", "displacement_features", "pooled", "token_plastic", "token_von_mises", "displacement",
        "permanent_set",
    )  # fmt: skip
    shorter = {name: getattr(sample, name)[:, :steps] for name in names}
    return replace(sample, **shorter, kept=sample.kept.clamp(max=steps - 1))


def test_a_shorter_history_beside_longer_ones_stands_still_at_its_end() -> None:
    whole, other = training_samples()[:2]
    short = cut(whole, 5)
    batch = make_batch([short, other], torch.tensor([[0, 1], [2, 0]]), torch.tensor([[[0, 1]], [[1, 1]]]))
    alone = make_batch([short], torch.tensor([[0, 1]]), torch.tensor([[[0, 1]]]))
    assert alone.actions.shape[2] == 5 and batch.actions.shape[2] == STEPS
    pairs = [(batch.actions, alone.actions), (batch.pooled, alone.pooled)]
    pairs += [(getattr(batch.truth, f.name), getattr(alone.truth, f.name)) for f in fields(batch.truth)]
    pairs.append((batch.displacement_features, alone.displacement_features))
    for held, own in pairs:
        assert torch.equal(held[0, :, :5], own[0])
        last = own[0, :, 4:].clone()
        if own is alone.actions:
            last[..., INCREMENT_FEATURES] = 0.0  # loads that stand still do not change
        assert torch.equal(held[0, :, 5:], last.expand_as(held[0, :, 5:]))
    # The other part is what it is without the short one beside it.
    assert torch.equal(batch.actions[1], other.actions[torch.tensor([2, 0])].float())
    assert int(batch.decoded(0).step[0]) == int(short.kept[0, 1]) < 5
