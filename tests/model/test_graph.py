"""The graph of a part: the same whatever its frame, unit and numbering, and whole for parts of any size."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from surrogate.fields import FloatArray
from surrogate.model.anchor_path import anchor_steps, elastic_envelope, elastic_von_mises_squares
from surrogate.model.graph import NEIGHBOURS, PartGraph
from surrogate.physics.problem import LoadHistory, Problem
from tests.model.parts import (
    CLIMB,
    MILD,
    SWING,
    anchored,
    enlarged,
    renumbered,
    restressed,
    turned,
    wedge_mesh,
    wedge_problem,
)
from tests.physics.meshes import rotation

TOKENS, GATE = 8, 0.6
# What turns with the part, has an order of its own, or is made from either.
_VECTORS = {"offset", "gradient", "case_stress", "token_case_stress"}
# Features are stored in single precision.
SINGLE = 1e-5


def graph_of(problem: Problem, tokens: int = TOKENS, gate: float = GATE) -> PartGraph:
    return anchored(problem).graph(tokens, gate)


PROBLEM = wedge_problem()
GRAPH = graph_of(PROBLEM)


@pytest.mark.parametrize("frame", [rotation((1, 2, 3), 0.7), -rotation((3, -1, 2), 1.1), np.diag([1.0, -1.0, 1.0])])
def test_turning_or_mirroring_the_part_leaves_its_graph(frame: FloatArray) -> None:
    after = graph_of(turned(PROBLEM, frame))
    for field in fields(PartGraph):
        if field.name in _VECTORS | {"token_point", "volume"}:
            continue
        torch.testing.assert_close(
            getattr(after, field.name), getattr(GRAPH, field.name), rtol=SINGLE, atol=SINGLE, msg=field.name
        )
    for name in ("offset", "gradient"):
        expected = (getattr(GRAPH, name).double().numpy() @ frame.T).astype(np.float32)
        torch.testing.assert_close(getattr(after, name), torch.from_numpy(expected), rtol=SINGLE, atol=SINGLE)
    # In a mirror the first two corners of a cell change places, and its quadrature points with them.
    order = [1, 0, 2, 3] if np.linalg.det(frame) < 0 else [0, 1, 2, 3]
    torch.testing.assert_close(after.volume, GRAPH.volume[:, order], rtol=SINGLE, atol=0.0)
    assert torch.equal(after.token_point // 4, GRAPH.token_point // 4)


@pytest.mark.parametrize("other", [enlarged(PROBLEM, 1000.0), restressed(PROBLEM, 1e-6)])
def test_the_unit_of_length_or_stress_leaves_the_graph(other: Problem) -> None:
    after = graph_of(other)
    for field in fields(PartGraph):
        torch.testing.assert_close(
            getattr(after, field.name), getattr(GRAPH, field.name), rtol=SINGLE, atol=SINGLE, msg=field.name
        )


def test_numbering_the_cells_otherwise_numbers_the_graph_otherwise() -> None:
    other = renumbered(PROBLEM, 3)
    after = graph_of(other.problem)
    cells = torch.from_numpy(other.cells)
    for name in ("token_features", "token_distance", "token_case_stress", "material"):
        torch.testing.assert_close(getattr(after, name), getattr(GRAPH, name), rtol=SINGLE, atol=SINGLE, msg=name)
    torch.testing.assert_close(after.cell_features, GRAPH.cell_features[cells], rtol=SINGLE, atol=SINGLE)
    assert torch.equal(after.cell_region, GRAPH.cell_region[cells])
    assert set(cells[after.active].tolist()) == set(GRAPH.active.tolist())

    def pairs(graph: PartGraph, names: torch.Tensor) -> set[tuple[int, int]]:
        return {(int(a), int(b)) for a, b in names[graph.dual_edges].T}

    assert pairs(after, cells) == pairs(GRAPH, torch.arange(len(cells)))


def test_two_cells_are_joined_where_they_share_a_side() -> None:
    corners = [set(cell[:4].tolist()) for cell in PROBLEM.mesh.cells]
    expected = {(i, j) for i, a in enumerate(corners) for j, b in enumerate(corners) if i != j and len(a & b) == 3}
    assert {(int(a), int(b)) for a, b in GRAPH.dual_edges.T} == expected


def test_every_cell_belongs_to_its_nearest_token_and_every_token_sits_on_the_point_of_its_region_that_flows_most() -> (
    None
):
    part = anchored(PROBLEM)
    factors = part.path.factors.reshape(-1, 2)
    level = elastic_envelope(elastic_von_mises_squares(part.fields.stress), factors)
    plastic = np.zeros_like(level)
    for step in anchor_steps(part.fields, part.path, np.arange(level.size)):
        plastic = np.maximum(plastic, step.state.equivalent.max(axis=1))
    hot = level.reshape(-1, 4).max(axis=1) > GATE * PROBLEM.material.yield_strength_pa
    active = np.flatnonzero(hot | (plastic.reshape(-1, 4).max(axis=1) > 0))
    assert np.array_equal(GRAPH.active.numpy(), active) and 0 < len(active) < len(level) // 4
    region, point = GRAPH.cell_region.numpy().repeat(4), GRAPH.token_point.numpy()
    assert len(np.unique(region)) == TOKENS
    flowing = 0
    for token in range(TOKENS):
        mine = np.flatnonzero(region == token)
        assert point[token] in mine
        # Round-off of the same sums in another order.
        assert plastic[point[token]] == pytest.approx(plastic[mine].max(), rel=1e-9, abs=1e-15)
        flowing += plastic[point[token]] > 0
        if not plastic[mine].any():
            assert level[point[token]] == level[mine].max()
    # The point of the part that flows most is some token's, so no peak is missed.
    assert flowing > 0 and plastic[point].max() == pytest.approx(plastic.max(), rel=1e-9)
    assert np.exp(GRAPH.token_features[:, 2].numpy()).sum() == pytest.approx(1.0, rel=SINGLE)


def test_where_nothing_flows_every_token_sits_on_the_hottest_point_of_its_region() -> None:
    part = anchored(wedge_problem((MILD,)))
    graph = part.graph(TOKENS, GATE)
    level = elastic_envelope(elastic_von_mises_squares(part.fields.stress), part.path.factors.reshape(-1, 2))
    region, point = graph.cell_region.numpy().repeat(4), graph.token_point.numpy()
    for token in range(TOKENS):
        assert level[point[token]] == level[region == token].max()
    assert level[point].max() == level.max()


def test_the_neighbours_of_an_active_cell_are_the_nearest_ones_itself_first() -> None:
    centroids = PROBLEM.mesh.points[PROBLEM.mesh.cells[:, :4]].mean(axis=1)[GRAPH.active.numpy()]
    distance = np.linalg.norm(centroids[:, None] - centroids[None], axis=-1)
    expected = np.sort(distance, axis=1)[:, : NEIGHBOURS + 1]
    found = np.take_along_axis(distance, GRAPH.neighbours.numpy(), axis=1)
    np.testing.assert_allclose(np.sort(found, axis=1), expected, rtol=1e-12)
    assert torch.equal(GRAPH.neighbours[:, 0], torch.arange(len(GRAPH.active)))
    assert torch.equal(GRAPH.offset[:, 0], torch.zeros(len(GRAPH.active), 3))


def test_a_part_under_too_little_load_to_yield_has_no_active_cell() -> None:
    graph = graph_of(replace(PROBLEM, load_histories=(LoadHistory("touch", np.array([[0.1, 0.0]])),)))
    assert len(graph.active) == 0
    assert graph.neighbours.shape == (0, NEIGHBOURS + 1) and graph.case_stress.shape == (2, 0, 4, 6)
    assert_finite(graph)


@pytest.mark.parametrize("tokens", [96, 300])
def test_a_part_may_have_fewer_cells_than_tokens(tokens: int) -> None:
    small = replace(PROBLEM, mesh=wedge_mesh((2, 1, 1)))
    graph = graph_of(small, tokens=tokens)
    assert graph.token_features.shape[0] == tokens > len(small.mesh.cells)
    assert graph.cell_region.max() < tokens
    assert_finite(graph)


def test_an_unloaded_part_has_a_graph_without_an_infinity() -> None:
    assert_finite(graph_of(replace(PROBLEM, load_histories=(LoadHistory("rest", np.zeros((2, 2))),))))


def test_a_repeated_history_changes_nothing() -> None:
    again = (CLIMB, SWING, LoadHistory("again", CLIMB.factors))
    after = graph_of(replace(PROBLEM, load_histories=again))
    for field in fields(PartGraph):
        torch.testing.assert_close(
            getattr(after, field.name), getattr(GRAPH, field.name), rtol=SINGLE, atol=SINGLE, msg=field.name
        )


def assert_finite(graph: PartGraph) -> None:
    for field in fields(PartGraph):
        assert torch.isfinite(getattr(graph, field.name)).all(), field.name
