"""The decoder puts plastic strain together from tensors of the part; before it learns it is the local anchor."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from surrogate.fields import FloatArray
from surrogate.model.decoder import LocalState, MessageLayer, PlasticField
from surrogate.model.graph import PartGraph
from surrogate.model.invariant_features import dot
from surrogate.model.jepa import GraphJepa
from surrogate.model.local_state import local_states, token_actions
from tests.model.parts import TINY, fresh_model, lively_model, shared_lively_model, turned_tensor
from tests.model.test_local_state import EVERY, FACTORS, FIELDS, GRAPH
from tests.physics.meshes import rotation

LOCAL = local_states(GRAPH, FIELDS, FACTORS, EVERY)
YIELDED = LOCAL.equivalent.amax(dim=(1, 2)) > 0.5
# Sums of a few dozen single-precision products.
SINGLE = 1e-4


def decoded(model: GraphJepa, graph: PartGraph = GRAPH, local: LocalState = LOCAL, seed: int = 0) -> PlasticField:
    tokens = torch.randn(len(local.equivalent), TINY.tokens, TINY.width, generator=torch.Generator().manual_seed(seed))
    geometry = model.geometry([graph])
    return model.field(graph, geometry.cells[0], tokens, geometry.tokens[0], local)


def relative(field: Tensor, reference: Tensor) -> Tensor:
    weight = GRAPH.volume
    change = field - reference
    return torch.sqrt((weight * dot(change, change)).sum((1, 2)) / (weight * dot(reference, reference)).sum((1, 2)))


def test_fresh_weights_are_near_the_local_anchor() -> None:
    for seed in range(3):
        field = decoded(fresh_model(seed=seed), seed=seed)
        # It starts from exp(0.3) = 1.35 times the local anchor and a little of its neighbours: plastic strain spreads.
        print(
            relative(field.strain, LOCAL.strain)[YIELDED],
            field.equivalent[YIELDED].mean() / LOCAL.equivalent[YIELDED].mean(),
        )
        assert relative(field.strain, LOCAL.strain)[YIELDED].max() < 0.6
        ratio = field.equivalent[YIELDED].mean() / LOCAL.equivalent[YIELDED].mean()
        assert 1.1 < ratio < 1.8
        untouched = decoded(fresh_model(seed=seed), local=local_states(GRAPH, FIELDS, 0.1 * FACTORS, EVERY))
        assert untouched.equivalent.max() < 0.02  # yield strains where nothing yields


def test_plastic_strain_has_no_trace_and_its_equivalent_is_never_negative() -> None:
    for model in (shared_lively_model(), lively_model(seed=5)):
        field = decoded(model)
        trace = field.strain[..., :3].sum(-1).abs().max()
        # Single precision of a sum of unit tensors.
        assert trace < 1e-5 * field.strain.abs().max()
        assert field.equivalent.min() >= 0
        assert torch.isfinite(field.strain).all()


def _turned(local: LocalState, frame: FloatArray) -> LocalState:
    def turn(tensor: Tensor) -> Tensor:
        return torch.from_numpy(turned_tensor(tensor.double().numpy(), frame).astype(np.float32))

    return LocalState(*map(turn, (local.elastic, local.increment, local.stress, local.strain)), local.equivalent)


def test_the_field_turns_with_the_part() -> None:
    model = shared_lively_model()
    before = decoded(model)
    for frame in (rotation((1, 2, 3), 0.7), -rotation((3, -1, 2), 1.1), np.diag([1.0, 1.0, -1.0])):
        matrix = torch.from_numpy(frame.astype(np.float32))
        graph = replace(GRAPH, offset=GRAPH.offset @ matrix.T, gradient=GRAPH.gradient @ matrix.T)
        after = decoded(model, graph, _turned(LOCAL, frame))
        torch.testing.assert_close(after.equivalent, before.equivalent, rtol=SINGLE, atol=SINGLE)
        expected = turned_tensor(before.strain.double().numpy(), frame)
        scale = float(before.strain.abs().max())
        np.testing.assert_allclose(after.strain, expected, atol=SINGLE * scale)


def test_states_are_decoded_each_for_itself() -> None:
    model = shared_lively_model()
    tokens = torch.randn(len(EVERY), TINY.tokens, TINY.width, generator=torch.Generator().manual_seed(0))
    geometry = model.geometry([GRAPH])
    together = model.field(GRAPH, geometry.cells[0], tokens, geometry.tokens[0], LOCAL)
    for i in (0, 3, 7):
        local = LOCAL.select(torch.tensor([i]))
        alone = model.field(GRAPH, geometry.cells[0], tokens[i : i + 1], geometry.tokens[0], local)
        torch.testing.assert_close(alone.strain[0], together.strain[i], rtol=SINGLE, atol=SINGLE)


def test_what_the_tokens_say_changes_the_field() -> None:
    model = shared_lively_model()
    change = (decoded(model, seed=0).strain - decoded(model, seed=1).strain).abs().max()
    assert change > 0.01 * LOCAL.strain.abs().max()


def test_a_part_that_nowhere_may_yield_decodes_to_an_empty_field() -> None:
    model = shared_lively_model()
    none = {
        name: getattr(GRAPH, name)[:0]
        for name in ("active", "volume", "neighbours", "offset", "gradient", "tokens_read", "token_distance_read")
    }
    graph = replace(GRAPH, case_stress=GRAPH.case_stress[:, :0], **none)
    local = LocalState(
        *(t[:, :0] for t in (LOCAL.elastic, LOCAL.increment, LOCAL.stress, LOCAL.strain, LOCAL.equivalent))
    )
    field = decoded(model, graph, local)
    assert field.strain.shape == (len(EVERY), 0, 4, 6) and field.equivalent.shape == (len(EVERY), 0, 4)


def test_a_message_layer_does_not_mind_the_order_of_the_neighbours() -> None:
    torch.manual_seed(0)
    layer, hidden = MessageLayer(16), torch.randn(2, 9, 16)
    neighbours, edges = torch.randint(9, (9, 7)), torch.randn(2, 9, 7, 5)
    order = torch.randperm(7)
    expected = layer(hidden, edges, neighbours)
    found = layer(hidden, edges[:, :, order], neighbours[:, order])
    torch.testing.assert_close(found, expected, rtol=SINGLE, atol=1e-6)


def test_fresh_heads_read_the_local_anchor_off_the_actions() -> None:
    model, actions = fresh_model(), token_actions(GRAPH, FIELDS, FACTORS)[None].flatten(1, 2)
    geometry, elastic = model.geometry([GRAPH]), torch.ones(1, len(EVERY), 2)
    tokens = torch.zeros(1, len(EVERY), TINY.tokens, TINY.width)
    scalars = model.heads(tokens, geometry.tokens, actions, elastic)
    assert scalars.plastic.shape == scalars.von_mises.shape == (1, len(EVERY), TINY.tokens)
    assert scalars.plastic.min() >= 0
    local = torch.expm1(actions[..., 5])
    where = local > 0.5
    # A fresh head starts from exp(0.5) = 1.65 times the local anchor.
    assert ((scalars.plastic / local)[where] > 0.8).all() and ((scalars.plastic / local)[where] < 3.5).all()
    assert (scalars.von_mises - actions[..., 1]).abs().max() < 1.5
