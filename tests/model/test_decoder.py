"""The decoder puts plastic strain together from tensors of the part; before it learns it is the reduced anchor."""

from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor

from surrogate.fields import FloatArray
from surrogate.model.anchor_state import anchor_states, displacement_reference, token_actions
from surrogate.model.decoder import DISPLACEMENT_FEATURES, AnchorState, MessageLayer, PlasticField, TokenScalars
from surrogate.model.graph import PartGraph
from surrogate.model.invariant_features import TREND_FEATURE, dot
from surrogate.model.jepa import GraphJepa
from tests.model.parts import (
    FIRM,
    TINY,
    anchored,
    fresh_model,
    lively_model,
    shared_lively_model,
    turned_tensor,
    wedge_problem,
)
from tests.model.test_anchor_state import EVERY, FIELDS, GRAPH, PATH, STATES
from tests.physics.meshes import rotation

YIELDED = STATES.equivalent.amax(dim=(1, 2)) > 0.5
# Untrained, the network adds so much where the physics doubts itself: the least that a softplus of -6 can say.
SILENT = 0.03
# The norm of nothing is taken as a millionth, so that it has a slope; a doubt of nothing is twenty times that.
NOTHING = 1e-3
# Sums of a few dozen single-precision products.
SINGLE = 1e-4


def decoded(model: GraphJepa, graph: PartGraph = GRAPH, anchor: AnchorState = STATES, seed: int = 0) -> PlasticField:
    tokens = torch.randn(len(anchor.equivalent), TINY.tokens, TINY.width, generator=torch.Generator().manual_seed(seed))
    geometry = model.geometry([graph])
    return model.field(graph, geometry.cells[0], tokens, geometry.tokens[0], anchor)


def relative(field: Tensor, reference: Tensor) -> Tensor:
    weight = GRAPH.volume
    change = field - reference
    return torch.sqrt((weight * dot(change, change)).sum((1, 2)) / (weight * dot(reference, reference)).sum((1, 2)))


def certain(anchor: AnchorState = STATES) -> AnchorState:
    """The same plastic state by an anchor that its last round changed nothing of, and that is in balance."""
    return replace(anchor, earlier=anchor.equivalent, defect=torch.zeros_like(anchor.defect))


def test_untrained_the_decoder_repeats_the_anchor() -> None:
    for seed in range(3):
        field = decoded(fresh_model(seed=seed), seed=seed)
        assert relative(field.strain, STATES.strain)[YIELDED].max() < SILENT
        added = field.equivalent - STATES.equivalent
        assert (added > -1e-6).all() and added.max() < SILENT * float(STATES.equivalent.max().clamp(min=1))
        # Before anything yields nothing is added.
        assert field.equivalent[[0, 4]].max() < NOTHING


def test_where_the_physics_does_not_doubt_itself_no_network_has_a_say() -> None:
    anchor = certain()
    for model in (fresh_model(), shared_lively_model(), lively_model(seed=5)):
        field = decoded(model, anchor=anchor)
        torch.testing.assert_close(field.equivalent, anchor.equivalent, rtol=NOTHING, atol=NOTHING)
        torch.testing.assert_close(field.strain, anchor.strain, rtol=NOTHING, atol=2 * NOTHING)


def test_a_little_doubt_leaves_room_for_a_little_change() -> None:
    """The correction goes to zero with the doubt, so that nothing jumps where the anchor becomes exact."""
    model, changes = shared_lively_model(), []
    for share in (1e-1, 1e-3, 1e-5):
        defect = share * STATES.defect
        earlier = STATES.equivalent + share * (STATES.earlier - STATES.equivalent)
        field = decoded(model, anchor=replace(STATES, defect=defect, earlier=earlier))
        changes.append(float((field.equivalent - STATES.equivalent).abs().max()))
    assert changes[0] > 10 * changes[1] > 100 * changes[2]


def test_either_reason_for_doubt_lets_the_network_speak() -> None:
    model, anchor = shared_lively_model(), certain()
    for doubting in (replace(anchor, defect=STATES.defect), replace(anchor, earlier=STATES.earlier)):
        change = (decoded(model, anchor=doubting).equivalent - anchor.equivalent)[YIELDED].abs().max()
        assert change > 0.05


def test_where_nothing_yields_any_network_decodes_nothing() -> None:
    part = anchored(wedge_problem((FIRM,)))
    graph = part.graph()
    states = anchor_states(graph, part.fields, part.path, np.array([[0, 1], [0, 2]]), part.elastic)
    assert len(graph.active)
    field = decoded(shared_lively_model(), graph, states)
    assert field.equivalent.max() < NOTHING and field.strain.abs().max() < NOTHING


def test_plastic_strain_has_no_trace_and_its_equivalent_is_never_negative() -> None:
    for model in (shared_lively_model(), lively_model(seed=5)):
        field = decoded(model)
        trace = field.strain[..., :3].sum(-1).abs().max()
        # Single precision of a sum of unit tensors.
        assert trace < 1e-5 * field.strain.abs().max()
        assert field.equivalent.min() >= 0
        assert torch.isfinite(field.strain).all()


def _turned(anchor: AnchorState, frame: FloatArray) -> AnchorState:
    def turn(tensor: Tensor) -> Tensor:
        return torch.from_numpy(turned_tensor(tensor.double().numpy(), frame).astype(np.float32))

    tensors = ("elastic", "increment", "stress", "strain", "defect")
    return replace(anchor, **{name: turn(getattr(anchor, name)) for name in tensors})


def test_the_field_turns_with_the_part() -> None:
    model = shared_lively_model()
    before = decoded(model)
    for frame in (rotation((1, 2, 3), 0.7), -rotation((3, -1, 2), 1.1), np.diag([1.0, 1.0, -1.0])):
        matrix = torch.from_numpy(frame.astype(np.float32))
        graph = replace(GRAPH, offset=GRAPH.offset @ matrix.T, gradient=GRAPH.gradient @ matrix.T)
        after = decoded(model, graph, _turned(STATES, frame))
        torch.testing.assert_close(after.equivalent, before.equivalent, rtol=SINGLE, atol=SINGLE)
        expected = turned_tensor(before.strain.double().numpy(), frame)
        scale = float(before.strain.abs().max())
        np.testing.assert_allclose(after.strain, expected, atol=SINGLE * scale)


def test_the_way_in_which_the_defect_points_matters() -> None:
    model = shared_lively_model()
    before, frame = decoded(model), rotation((1, 2, 3), 0.7)
    other = replace(STATES, defect=_turned(STATES, frame).defect)
    assert (decoded(model, anchor=other).strain - before.strain).abs().max() > 0.01 * STATES.strain.abs().max()


def test_states_are_decoded_each_for_itself() -> None:
    model = shared_lively_model()
    tokens = torch.randn(len(EVERY), TINY.tokens, TINY.width, generator=torch.Generator().manual_seed(0))
    geometry = model.geometry([GRAPH])
    together = model.field(GRAPH, geometry.cells[0], tokens, geometry.tokens[0], STATES)
    for i in (0, 3, 7):
        anchor = STATES.select(torch.tensor([i]))
        alone = model.field(GRAPH, geometry.cells[0], tokens[i : i + 1], geometry.tokens[0], anchor)
        torch.testing.assert_close(alone.strain[0], together.strain[i], rtol=SINGLE, atol=SINGLE)


def test_what_the_tokens_say_changes_the_field() -> None:
    model = shared_lively_model()
    change = (decoded(model, seed=0).strain - decoded(model, seed=1).strain).abs().max()
    assert change > 0.01 * STATES.strain.abs().max()


def test_a_part_that_nowhere_may_yield_decodes_to_an_empty_field() -> None:
    model = shared_lively_model()
    none = {
        name: getattr(GRAPH, name)[:0]
        for name in ("active", "volume", "neighbours", "offset", "gradient", "tokens_read", "token_distance_read")
    }
    graph = replace(GRAPH, case_stress=GRAPH.case_stress[:, :0], **none)
    empty = AnchorState(*(getattr(STATES, field.name)[:, :0] for field in fields(AnchorState)))
    field = decoded(model, graph, empty)
    assert field.strain.shape == (len(EVERY), 0, 4, 6) and field.equivalent.shape == (len(EVERY), 0, 4)


def test_a_message_layer_does_not_mind_the_order_of_the_neighbours() -> None:
    torch.manual_seed(0)
    layer, hidden = MessageLayer(16), torch.randn(2, 9, 16)
    neighbours, edges = torch.randint(9, (9, 7)), torch.randn(2, 9, 7, 5)
    order = torch.randperm(7)
    expected = layer(hidden, edges, neighbours)
    found = layer(hidden, edges[:, :, order], neighbours[:, order])
    torch.testing.assert_close(found, expected, rtol=SINGLE, atol=1e-6)


def heads_read(model: GraphJepa, actions: Tensor, features: Tensor, seed: int = 0) -> TokenScalars:
    geometry = model.geometry([GRAPH])
    shape = (1, len(EVERY), TINY.tokens, TINY.width)
    tokens = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return model.heads(tokens, geometry.tokens, actions, features)


ACTIONS = token_actions(GRAPH, FIELDS, PATH)
FEATURES = displacement_reference(FIELDS, PATH, ACTIONS)[0][None].flatten(1, 2)
ACTIONS = ACTIONS[None].flatten(1, 2)


def test_untrained_the_heads_repeat_the_anchor() -> None:
    assert FEATURES.shape == (1, len(EVERY), DISPLACEMENT_FEATURES)
    for seed in range(3):
        scalars = heads_read(fresh_model(seed=seed), ACTIONS, FEATURES, seed)
        assert scalars.plastic.shape == scalars.von_mises.shape == (1, len(EVERY), TINY.tokens)
        assert scalars.displacement.shape == scalars.permanent_set.shape == (1, len(EVERY))
        added = scalars.plastic - torch.expm1(ACTIONS[..., 5])
        assert (added > -1e-6).all() and added.max() < SILENT
        torch.testing.assert_close(scalars.von_mises, ACTIONS[..., 1])
        torch.testing.assert_close(scalars.displacement, FEATURES[..., 0])
        torch.testing.assert_close(scalars.permanent_set, FEATURES[..., 2])


def test_the_heads_change_nothing_that_the_last_round_did_not_change() -> None:
    model, sure = lively_model(seed=5, spread=1.0), ACTIONS.clone()
    sure[..., TREND_FEATURE] = 0.0
    found = heads_read(model, sure, FEATURES)
    torch.testing.assert_close(found.plastic, torch.expm1(sure[..., 5]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.displacement, FEATURES[..., 0])
    torch.testing.assert_close(found.permanent_set, FEATURES[..., 2])
    doubting = heads_read(model, ACTIONS, FEATURES)
    for name in ("plastic", "displacement", "permanent_set"):
        assert (getattr(doubting, name) - getattr(found, name)).abs().max() > 0.01, name


def test_the_stress_that_is_read_is_the_anchors_whatever_the_weights() -> None:
    assert torch.equal(heads_read(lively_model(seed=5, spread=1.0), ACTIONS, FEATURES).von_mises, ACTIONS[..., 1])


def test_plastic_strain_and_permanent_set_that_are_read_are_never_negative_nor_made_of_nothing() -> None:
    for seed in range(3):
        model = lively_model(seed=seed, spread=1.0)
        scalars = heads_read(model, ACTIONS, FEATURES, seed)
        assert scalars.plastic.min() >= 0 and scalars.permanent_set.min() >= 0
        assert not heads_read(model, ACTIONS, FEATURES * torch.tensor([1.0, 1.0, 0.0])).permanent_set.any()
