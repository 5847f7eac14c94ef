"""The encoders: a virgin state is no state, the tokens are a set, and attention sees distances only."""

from dataclasses import replace

import torch

from surrogate.model.anchor_state import token_actions
from surrogate.model.attention import HEADS, AttentionBlock, DistanceBias
from surrogate.model.encoder import POOLED_FEATURES, STATE_FEATURES, Geometry, pooled_state, state_features
from surrogate.model.graph import PartGraph
from surrogate.model.invariant_features import FEATURE_COUNT
from surrogate.model.predictor import InverseDynamics, Predictor
from tests.model.parts import TINY, fresh_model, shared_lively_model
from tests.model.test_anchor_state import FACTORS, FIELDS, GRAPH, PATH, STATES
from tests.model.test_rollout import REQUESTS

# Sums of a few dozen single-precision products.
SINGLE = 1e-4
CELLS = len(GRAPH.active)


def plastic(scale: float, seed: int = 0, states: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    strain = scale * torch.randn(states, CELLS, 4, 6, generator=generator)
    return strain, scale * torch.rand(states, CELLS, 4, generator=generator)


def pooled(features: torch.Tensor, graph: PartGraph = GRAPH) -> torch.Tensor:
    return pooled_state(graph, features)[None]


def test_a_state_without_plastic_strain_is_the_virgin_state() -> None:
    model = shared_lively_model()
    geometry = model.geometry([GRAPH])
    silent = state_features(*plastic(0.0), *plastic(0.0))
    assert silent.shape == (3, CELLS, 4, STATE_FEATURES) and silent.max() < 1e-5
    encoded = model.state(pooled(silent), geometry)
    torch.testing.assert_close(encoded, model.state.virgin(geometry).expand_as(encoded), rtol=SINGLE, atol=SINGLE)
    yielded = model.state(pooled(state_features(*plastic(2.0), *plastic(1.0))), geometry)
    assert (yielded - encoded).abs().max() > 0.1


def test_a_state_that_is_the_anchors_says_nothing_of_a_difference() -> None:
    same = state_features(STATES.strain, STATES.equivalent, STATES.strain, STATES.equivalent)
    # Features 2, 5 and 7 tell how far the state is from the anchor's; the rest tell what is common to both.
    assert not same[..., [2, 7]].any() and same[..., 5].max() < 1e-5
    torch.testing.assert_close(same[..., 0], same[..., 1])
    other = state_features(1.1 * STATES.strain, 1.1 * STATES.equivalent, STATES.strain, STATES.equivalent)
    assert (other[..., [2, 5, 7]].amax(dim=(0, 1, 2)) > 0.02).all()


def test_a_state_of_moderate_size_is_told_in_half_precision() -> None:
    """Pooled states are kept in half precision, which ends at 65,504."""
    features = state_features(*plastic(1e3), *plastic(1.0))
    assert torch.isfinite(pooled_state(GRAPH, features).half()).all()


def test_the_pooled_state_is_the_mean_by_volume_and_the_largest_of_each_region() -> None:
    features = state_features(*plastic(1.0), *plastic(0.7, seed=1))
    found = pooled_state(GRAPH, features)
    assert found.shape == (3, TINY.tokens, POOLED_FEATURES)
    region = GRAPH.cell_region[GRAPH.active]
    for token in range(TINY.tokens):
        mine = features[:, region == token].flatten(1, 2)
        if not mine.shape[1]:
            assert not found[:, token].any()
            continue
        weight = GRAPH.volume[region == token].flatten()[:, None]
        mean = (mine * weight).sum(dim=1) / weight.sum()
        torch.testing.assert_close(found[:, token, :STATE_FEATURES], mean, rtol=SINGLE, atol=SINGLE)
        torch.testing.assert_close(found[:, token, STATE_FEATURES:], mine.amax(dim=1))


def test_a_part_without_active_cells_has_a_state_too() -> None:
    model = shared_lively_model()
    geometry = model.geometry([GRAPH])
    none = replace(GRAPH, active=torch.zeros(0, dtype=torch.long), volume=torch.zeros(0, 4))
    empty = model.state(pooled(torch.zeros(2, 0, 4, STATE_FEATURES), none), geometry)
    torch.testing.assert_close(empty, model.state.virgin(geometry).expand_as(empty), rtol=SINGLE, atol=SINGLE)


def test_states_are_encoded_each_for_itself() -> None:
    model = shared_lively_model()
    geometry = model.geometry([GRAPH])
    features = state_features(*plastic(1.0), *plastic(0.7, seed=1))
    together = model.state(pooled(features), geometry)
    for i in range(3):
        alone = model.state(pooled(features[i : i + 1]), geometry)
        torch.testing.assert_close(alone[:, 0], together[:, i], rtol=SINGLE, atol=SINGLE)


def test_parts_are_encoded_each_for_itself() -> None:
    model = shared_lively_model()
    other = REQUESTS[2].graph
    alone, together = model.geometry([GRAPH]), model.geometry([other, GRAPH])
    torch.testing.assert_close(together.tokens[1], alone.tokens[0], rtol=SINGLE, atol=SINGLE)
    torch.testing.assert_close(together.cells[1], alone.cells[0], rtol=SINGLE, atol=SINGLE)


def test_tokens_are_a_set() -> None:
    """Any order of the tokens gives the same tokens in that order: in attention and in the predictor."""
    model, generator = shared_lively_model(), torch.Generator().manual_seed(0)
    geometry = model.geometry([GRAPH])
    order = torch.randperm(TINY.tokens, generator=generator)
    other = Geometry(geometry.tokens[:, order], geometry.bias[:, :, order][..., order], geometry.cells)
    tokens = torch.randn(1, 5, TINY.tokens, TINY.width, generator=generator)
    action = torch.randn(1, 5, TINY.tokens, FEATURE_COUNT, generator=generator)
    expected = model.predictor(tokens, action, geometry)[:, :, order]
    found = model.predictor(tokens[:, :, order], action[:, :, order], other)
    torch.testing.assert_close(found, expected, rtol=SINGLE, atol=SINGLE)
    distance = GRAPH.token_distance[None]
    torch.testing.assert_close(
        model.geometry.bias(distance[:, order][:, :, order]), model.geometry.bias(distance)[:, :, order][..., order]
    )


def test_the_distance_bias_is_finite_for_tokens_at_one_place() -> None:
    bias = DistanceBias()(torch.zeros(1, 5, 5))
    assert bias.shape == (1, HEADS, 5, 5) and torch.isfinite(bias).all()


def test_a_fresh_condition_changes_nothing_and_a_learned_one_does() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(16, condition_width=16).eval()
    tokens, bias = torch.randn(1, 2, 6, 16), torch.zeros(1, HEADS, 6, 6)
    weak, strong = (block(tokens, bias, scale * torch.ones(1, 2, 1, 16)) for scale in (0.0, 5.0))
    assert torch.equal(weak, strong)  # AdaLN-zero
    assert block.modulation is not None
    torch.nn.init.normal_(block.modulation.weight)
    assert (block(tokens, bias, torch.ones(1, 2, 1, 16)) - weak).abs().max() > 0.1


def test_a_fresh_predictor_moves_the_tokens_little() -> None:
    torch.manual_seed(0)
    predictor = Predictor(TINY.width, 1, 0.0)
    geometry = fresh_model().geometry([GRAPH])
    tokens = torch.randn(1, 2, TINY.tokens, TINY.width)
    after = predictor(tokens, torch.randn(1, 2, TINY.tokens, FEATURE_COUNT), geometry)
    change = (after - tokens).norm() / tokens.norm()
    assert 0 < change < 0.3


def test_the_action_reaches_the_tokens() -> None:
    model = shared_lively_model()
    geometry = model.geometry([GRAPH])
    actions = token_actions(GRAPH, FIELDS, PATH)[None]
    rolled = model.roll(actions, geometry)
    assert rolled.shape == (1, *FACTORS.shape[:2], TINY.tokens, TINY.width)
    still = model.roll(torch.zeros_like(actions), geometry)
    assert (rolled - still).abs().max() > 0.05
    # From where a rollout has come to, it goes on as the whole would have.
    rest = model.roll(actions[:, :, 2:], geometry, start=rolled[:, :, 1])
    torch.testing.assert_close(rest, rolled[:, :, 2:], rtol=SINGLE, atol=SINGLE)


def test_the_inverse_dynamics_read_an_action_between_two_states() -> None:
    inverse = InverseDynamics(16)
    assert inverse(torch.zeros(2, 3, 16), torch.ones(2, 3, 16)).shape == (2, 3, FEATURE_COUNT)
