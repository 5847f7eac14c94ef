"""Rolling out in batches and decoding in chunks gives the numbers of one part and one state at a time."""

from dataclasses import fields

import pytest
import torch

from surrogate.model import rollout
from surrogate.model.anchor_state import displacement_reference, token_actions
from surrogate.model.decoder import TokenScalars
from surrogate.model.rollout import PartRequest, RolledPart, decode, roll_out
from surrogate.physics.problem import Problem
from tests.model.parts import MILD, SWING, anchored, shared_lively_model, wedge_mesh, wedge_problem
from tests.model.test_anchor_state import EVERY, FIELDS, GRAPH, PATH, STATES

CPU = torch.device("cpu")
# Sums of a few dozen single-precision products, in another order.
SINGLE = 1e-4


def request_of(problem: Problem) -> PartRequest:
    part = anchored(problem)
    graph = part.graph()
    actions = token_actions(graph, part.fields, part.path)
    return PartRequest(graph, actions, displacement_reference(part.fields, part.path, actions)[0])


MINE = token_actions(GRAPH, FIELDS, PATH)
REQUESTS = (
    PartRequest(GRAPH, MINE, displacement_reference(FIELDS, PATH, MINE)[0]),
    request_of(wedge_problem((MILD,))),  # shorter
    request_of(wedge_problem((SWING,), wedge_mesh((3, 2, 1), slope=0.2))),
)


def assert_same(one: RolledPart, other: RolledPart, tolerance: float = SINGLE) -> None:
    for name in ("tokens", "geometry", "cells"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance)
    for field in fields(TokenScalars):
        found, expected = getattr(one.scalars, field.name), getattr(other.scalars, field.name)
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_parts_in_one_batch_are_each_part_alone() -> None:
    model = shared_lively_model()
    together = roll_out(model, REQUESTS, CPU)
    for request, part in zip(REQUESTS, together, strict=True):
        assert part.tokens.shape[:2] == request.actions.shape[:2]
        assert part.scalars.plastic.shape == request.actions.shape[:3]
        assert_same(part, roll_out(model, (request,), CPU)[0])


def test_the_order_of_the_histories_is_the_order_of_the_answer() -> None:
    model, request = shared_lively_model(), REQUESTS[0]
    swapped = PartRequest(request.graph, request.actions.flip(0), request.displacement_features.flip(0))
    one, other = roll_out(model, (request,), CPU)[0], roll_out(model, (swapped,), CPU)[0]
    torch.testing.assert_close(other.tokens, one.tokens.flip(0), rtol=SINGLE, atol=SINGLE)
    torch.testing.assert_close(other.scalars.plastic, one.scalars.plastic.flip(0), rtol=SINGLE, atol=SINGLE)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_bound_on_memory_does_not_change_the_rollout(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, many = shared_lively_model(), REQUESTS[0]
    wide = PartRequest(many.graph, many.actions.repeat(4, 1, 1, 1), many.displacement_features.repeat(4, 1, 1))
    whole = roll_out(model, (wide, REQUESTS[1]), CPU)
    monkeypatch.setattr(rollout, "_ROLL_ROWS", rows)
    for one, other in zip(roll_out(model, (wide, REQUESTS[1]), CPU), whole, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("cells", [1, 200])
def test_a_bound_on_memory_does_not_change_the_decoded_field(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = shared_lively_model()
    part = roll_out(model, REQUESTS[:1], CPU)[0]
    whole = decode(model, GRAPH, part, STATES, EVERY, CPU)
    monkeypatch.setattr(rollout, "_DECODE_CELLS", cells)
    chunked = decode(model, GRAPH, part, STATES, EVERY, CPU)
    torch.testing.assert_close(chunked.strain, whole.strain, rtol=SINGLE, atol=SINGLE)
    torch.testing.assert_close(chunked.equivalent, whole.equivalent, rtol=SINGLE, atol=SINGLE)
    chosen = EVERY[[5, 2]]
    some = decode(model, GRAPH, part, STATES.select(torch.tensor([5, 2])), chosen, CPU)
    torch.testing.assert_close(some.strain, whole.strain[[5, 2]], rtol=SINGLE, atol=SINGLE)


def test_a_state_is_decoded_from_the_tokens_after_its_step() -> None:
    model = shared_lively_model()
    part = roll_out(model, REQUESTS[:1], CPU)[0]
    found = decode(model, GRAPH, part, STATES, EVERY, CPU)
    expected = model.field(GRAPH, part.cells, part.tokens.flatten(0, 1), part.geometry, STATES)
    torch.testing.assert_close(found.strain, expected.strain, rtol=SINGLE, atol=SINGLE)
    before = model.field(GRAPH, part.cells, part.tokens.roll(1, dims=1).flatten(0, 1), part.geometry, STATES)
    assert (found.strain - before.strain).abs().max() > 1e-2


def test_half_precision_as_on_a_gpu_gives_single_precision_numbers_that_are_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, real = shared_lively_model(), torch.autocast
    exact = roll_out(model, REQUESTS, CPU)

    def lowered(kind: str, dtype: torch.dtype, enabled: bool) -> torch.autocast:
        assert not enabled and dtype == torch.bfloat16  # a CPU computes in single precision
        return real(kind, dtype=dtype, enabled=True)

    monkeypatch.setattr(torch, "autocast", lowered)
    for part, reference in zip(roll_out(model, REQUESTS, CPU), exact, strict=True):
        for name in ("tokens", "geometry", "cells"):
            found, expected = getattr(part, name), getattr(reference, name)
            assert found.dtype == torch.float32
            # bfloat16 keeps 8 bits; a few dozen operations deep that is a few per cent.
            assert (found - expected).norm() <= 0.05 * expected.norm(), name
        assert not torch.equal(part.tokens, reference.tokens)
        assert part.scalars.plastic.dtype == torch.float32 and part.scalars.plastic.device == CPU
