"""The latents of a batch: true states encoded, one step predicted from each, and a rollout of its own."""

import torch

from surrogate.training.batches import make_batch
from surrogate.training.latents import encode, states_before
from surrogate.training.losses import latent_prediction
from tests.model.parts import TINY, lively_model
from tests.training.wedges import STEPS, training_samples

SAMPLES = training_samples()[2:4]
BATCH = make_batch(SAMPLES, torch.tensor([[0, 2], [1, 0]]), torch.tensor([[[0, 1]], [[0, 1]]]))
# Sums of a few dozen single-precision products, in another order.
SINGLE = 1e-4


def test_shapes_and_the_state_before_each_step() -> None:
    latents = encode(lively_model(), BATCH, 5, [0, 3])
    shape = (TINY.tokens, TINY.width)
    assert latents.virgin.shape == (2, 1, 1, *shape)
    assert latents.encoded.shape == (2, 2, STEPS, *shape)
    assert latents.one_step.shape == (2, 2, 2, *shape)
    assert latents.rolled.shape == (2, 2, 5, *shape)
    before = states_before(latents)
    assert torch.equal(before[:, :, 1:], latents.encoded[:, :, :-1])
    assert torch.equal(before[:, :, :1], latents.virgin.expand_as(before[:, :, :1]))


def test_one_step_from_the_virgin_part_is_the_first_step_of_the_rollout() -> None:
    latents = encode(lively_model(), BATCH, 1, [0])
    torch.testing.assert_close(latents.one_step[:, :, 0], latents.rolled[:, :, 0], rtol=SINGLE, atol=SINGLE)


def test_one_step_starts_from_the_encoded_truth() -> None:
    model = lively_model()
    latents = encode(model, BATCH, STEPS, [3])
    before = latents.encoded[:, :, 2]
    expected = model.predictor(before, BATCH.actions[:, :, 3], latents.geometry)
    torch.testing.assert_close(latents.one_step[:, :, 0], expected, rtol=SINGLE, atol=SINGLE)


def test_the_rollout_never_sees_the_truth() -> None:
    """Histories with other true states but the same loads roll out alike."""
    model = lively_model()
    rolled = encode(model, BATCH, STEPS, [0]).rolled
    alone = model.roll(BATCH.actions, model.geometry(BATCH.graphs))
    torch.testing.assert_close(rolled, alone, rtol=SINGLE, atol=SINGLE)


def test_the_latent_loss_teaches_the_predictor_and_does_not_pull_its_targets() -> None:
    model = lively_model().requires_grad_(True)
    latents = encode(model, BATCH, STEPS, [2])
    # With inputs held, only the targets could carry a gradient into the state encoder.
    held = latents.one_step.detach().requires_grad_(), latents.rolled.detach().requires_grad_()
    latent_prediction(held[0], latents.encoded[:, :, [2]], held[1], latents.encoded).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in model.parameters())
    latents = encode(model, BATCH, STEPS, [2])
    latent_prediction(latents.one_step, latents.encoded[:, :, [2]], latents.rolled, latents.encoded).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.predictor.parameters())
