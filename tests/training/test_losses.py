"""Losses vanish at the truth, do not see the scale, and never give a gradient that is not finite."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from surrogate.model.decoder import PlasticField, TokenScalars
from surrogate.training.losses import (
    TokenTruth,
    grounding,
    latent_prediction,
    relative_field_error,
    token_scalars,
    variance_covariance,
)

STATES, CELLS = 3, 20
GENERATOR = torch.Generator().manual_seed(0)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR)


STRAIN, EQUIVALENT = random(STATES, CELLS, 4, 6), random(STATES, CELLS, 4).abs()
VOLUME = torch.rand(CELLS, 4, generator=GENERATOR) / (4 * CELLS)


def test_field_losses_vanish_at_the_truth() -> None:
    truth = PlasticField(STRAIN, EQUIVALENT)
    for error in relative_field_error(truth, STRAIN, EQUIVALENT, VOLUME):
        # The root is taken of 1e-12 more, so that it has a slope at zero.
        assert error.max() < 1e-5
    assert grounding(truth, STRAIN, EQUIVALENT, VOLUME) < 2e-5
    worse = PlasticField(1.1 * STRAIN, 1.1 * EQUIVALENT)
    assert grounding(worse, STRAIN, EQUIVALENT, VOLUME) > 0.05


@pytest.mark.parametrize("share", [0.1, 0.5, 2.0])
def test_the_relative_error_of_a_share_too_much_is_that_share(share: float) -> None:
    field = PlasticField((1 + share) * STRAIN, (1 + share) * EQUIVALENT)
    for error in relative_field_error(field, STRAIN, EQUIVALENT, VOLUME):
        # The floor of 2e-3 yield strains is a few thousandths of these fields.
        torch.testing.assert_close(error, torch.full((STATES,), share), rtol=1e-2, atol=0.0)


def test_the_relative_error_does_not_see_the_scale_of_the_strain() -> None:
    wrong = PlasticField(STRAIN + 0.3 * random(*STRAIN.shape), EQUIVALENT + 0.3)
    small = relative_field_error(wrong, STRAIN, EQUIVALENT, VOLUME)
    large_field = PlasticField(50 * wrong.strain, 50 * wrong.equivalent)
    large = relative_field_error(large_field, 50 * STRAIN, 50 * EQUIVALENT, VOLUME)
    for one, other in zip(small, large, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=0.0)  # the floor again


def test_grounding_has_a_finite_gradient_where_nothing_yields() -> None:
    strain, equivalent = torch.zeros(2, CELLS, 4, 6), torch.zeros(2, CELLS, 4)
    for size in (0.0, 1e-6):
        guess = [(size * torch.ones_like(t)).requires_grad_() for t in (strain, equivalent)]
        loss = grounding(PlasticField(*guess), strain, equivalent, VOLUME)
        loss.backward()  # type: ignore[no-untyped-call]
        assert torch.isfinite(loss)
        for tensor in guess:
            assert tensor.grad is not None and torch.isfinite(tensor.grad).all()
            assert tensor.grad.abs().max() < 1e3


def test_one_hopeless_state_does_not_rule_the_gradient() -> None:
    """A state that is a thousand times off pulls no harder than one that is 3 times off."""
    pulls = []
    for factor in (3.0, 1000.0):
        scale = torch.tensor(factor, requires_grad=True)
        grounding(PlasticField(scale * STRAIN, scale * EQUIVALENT), STRAIN, EQUIVALENT, VOLUME).backward()  # type: ignore[no-untyped-call]
        assert scale.grad is not None
        pulls.append(float(scale.grad))
    assert 0 < pulls[1] < pulls[0]


def _truth() -> TokenTruth:
    regions, part = (2, 3, 4, 5), (2, 3, 4)
    return TokenTruth(random(*regions).abs(), random(*regions).abs(), random(*part).abs(), random(*part).abs())


def test_token_scalars_vanish_at_the_truth_and_each_that_is_learned_counts() -> None:
    truth = _truth()
    right = TokenScalars(truth.plastic, truth.von_mises, truth.displacement, truth.permanent_set)
    assert token_scalars(right, truth) == 0
    for field in fields(TokenScalars):
        wrong = replace(right, **{field.name: getattr(right, field.name) + 0.1})
        # The von Mises stress is the anchor's own, so that there is nothing to teach.
        assert (token_scalars(wrong, truth) > 1e-2) == (field.name != "von_mises"), field.name


def test_a_permanent_set_counts_by_its_share_until_it_is_next_to_nothing() -> None:
    truth = _truth()
    losses = []
    for size in (1.0, 0.1, 1e-6):
        held = replace(truth, permanent_set=size * torch.ones_like(truth.permanent_set))
        read = TokenScalars(truth.plastic, truth.von_mises, truth.displacement, 1.3 * held.permanent_set)
        losses.append(float(token_scalars(read, held)))
    # Of one size or of a tenth of it, 30 % are 30 %; a set of a millionth of the displacement is none.
    assert losses[1] == pytest.approx(losses[0], rel=0.05) and losses[2] < 1e-3 * losses[0]


def test_a_set_of_nothing_gives_a_finite_gradient() -> None:
    truth = _truth()
    none = replace(truth, permanent_set=torch.zeros_like(truth.permanent_set))
    read = torch.zeros_like(truth.permanent_set).requires_grad_()
    token_scalars(TokenScalars(truth.plastic, truth.von_mises, truth.displacement, read), none).backward()  # type: ignore[no-untyped-call]
    assert read.grad is not None and torch.isfinite(read.grad).all()


def test_latent_prediction_leaves_its_targets_alone() -> None:
    one_step, encoded = random(2, 2, 2, 8, 16).requires_grad_(), random(2, 2, 5, 8, 16).requires_grad_()
    rolled = random(2, 2, 5, 8, 16).requires_grad_()
    latent_prediction(one_step, encoded[:, :, [1, 3]], rolled, encoded).backward()  # type: ignore[no-untyped-call]
    assert encoded.grad is None
    assert one_step.grad is not None and rolled.grad is not None
    assert latent_prediction(encoded[:, :, [1, 3]], encoded[:, :, [1, 3]], encoded, encoded) == 0
    # A rollout cut short is compared with the states that it reached.
    assert latent_prediction(encoded[:, :, [1]], encoded[:, :, [1]], encoded[:, :, :2], encoded) == 0


def whitened(samples: int, width: int) -> Tensor:
    """Samples [S, D] of mean zero and covariance one."""
    raw = random(samples, width).double()
    orthogonal = torch.linalg.qr(raw - raw.mean(dim=0))[0]
    return (orthogonal * (samples - 1) ** 0.5).float()


def as_tokens(samples: Tensor, tokens: int = 8) -> Tensor:
    """Tokens [B, H, T, M, D] whose means over the tokens are these samples; within a part they differ."""
    spread = 3 * random(4, 3, len(samples) // 12, tokens, samples.shape[1])
    spread = spread - spread.mean(dim=3, keepdim=True)
    return samples.view(4, 3, -1, 1, samples.shape[1]) + spread


def test_variance_covariance_is_nothing_for_white_latents_and_much_for_collapsed_ones() -> None:
    white = variance_covariance(as_tokens(whitened(120, 16)))
    # Single precision; the variance term is exactly zero from a spread of one on.
    assert white < 1e-4
    point = variance_covariance(as_tokens(torch.ones(120, 16)))
    assert point > 0.9  # no spread over parts and steps, however far apart the tokens of one part are
    line = variance_covariance(as_tokens(random(120, 1) @ torch.ones(1, 16)))
    assert line > 0.5  # one dimension only


def test_variance_covariance_does_not_see_the_order_of_the_tokens() -> None:
    tokens = as_tokens(random(120, 16))
    shuffled = tokens[:, :, :, torch.randperm(tokens.shape[3], generator=GENERATOR)]
    torch.testing.assert_close(variance_covariance(shuffled), variance_covariance(tokens), rtol=1e-5, atol=1e-6)


def test_variance_covariance_pulls_collapsed_latents_apart() -> None:
    tokens = as_tokens(0.01 * random(120, 16)).requires_grad_()
    before = variance_covariance(tokens)
    before.backward()  # type: ignore[no-untyped-call]
    assert tokens.grad is not None and torch.isfinite(tokens.grad).all()
    assert variance_covariance(tokens.detach() - 1e3 * tokens.grad) < before
