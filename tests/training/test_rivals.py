"""The learned competitors: what they read has no units, numbering means nothing to them, and they learn."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from surrogate.data.simulation_file import Simulation
from surrogate.physics.loads import nodal_forces
from surrogate.physics.tet_element import gradients_and_volumes
from surrogate.training.meshgraphnet import NOISE_OWN, NOISE_PART, MeshGraphNet, noisy, rollout, step_loss
from surrogate.training.rival_data import (
    HALVE_SHEAR,
    RivalPart,
    field_norm,
    load_rival,
    on_nodes,
    prepare_rival,
    save_rival,
    thinned,
)
from surrogate.training.rival_decoder import PlasticRead, compressed_error
from surrogate.training.rival_training import RivalConfig, draw_states, train_rival, trained_rival
from surrogate.training.transolver import PhysicsAttention, Transolver, anchor_features, state_loss
from tests.training.wedges import PARTS, simulation

PART = PARTS["train"][0]
# Sums of a few hundred single-precision numbers in another order.
SINGLE = 2e-4
STATES = torch.tensor([[0, 2], [1, 7], [2, 5]])


@cache
def part() -> RivalPart:
    return prepare_rival(simulation(*PART))


def fullest() -> Tensor:
    """The state with the most plastic strain [1, 2]."""
    total = part().equivalent.float().sum(-1)
    return (total == total.max()).nonzero()[:1]


def renumbered(original: RivalPart) -> tuple[RivalPart, Tensor]:
    """The same part with points and edges in another order, and the corners of its cells too."""
    generator = torch.Generator().manual_seed(3)
    order = torch.randperm(len(original.positions), generator=generator)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    edges = place[original.edges][:, torch.randperm(original.edges.shape[1], generator=generator)]
    moved = replace(
        original,
        positions=original.positions[order],
        edges=edges,
        cells=place[original.cells],
        node_features=original.node_features[order],
        case_loads=original.case_loads[:, order],
    )
    return moved, order


def test_units_of_stress_mean_nothing() -> None:
    """A material twice as stiff and strong under twice the loads looks the same."""
    solved = simulation(*PART)
    problem, material = solved.problem, solved.problem.material
    stronger = replace(
        material,
        youngs_modulus_pa=2 * material.youngs_modulus_pa,
        yield_strength_pa=2 * material.yield_strength_pa,
        ultimate_strength_pa=2 * material.ultimate_strength_pa,
        hardening=material.hardening.scaled(2.0),
    )
    histories = tuple(replace(h, factors=2 * h.factors) for h in problem.load_histories)
    double = replace(solved, problem=replace(problem, material=stronger, load_histories=histories))
    mine, other = part(), prepare_rival(double)
    for name in ("positions", "node_features", "material", "strain", "equivalent"):
        torch.testing.assert_close(getattr(other, name), getattr(mine, name), rtol=1e-5, atol=1e-6, msg=name)
    for name in ("case_loads", "case_wrench"):
        found, expected = (
            torch.einsum("htk,k...->ht...", p.factors, getattr(p, name).float()) for p in (other, mine)
        )  # fmt: skip
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, msg=name)


def test_loads_on_corners_keep_the_total_force_and_moment() -> None:
    solved: Simulation = simulation(*PART)
    problem, mesh = solved.problem, solved.problem.mesh
    _, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    forces = nodal_forces(problem.load_cases, mesh, problem.material.density_kg_m3, volumes)
    corners = np.unique(mesh.cells[:, :4])
    ratio = mesh.points[corners].std(axis=0) / part().positions.double().numpy().std(axis=0)
    size = float(ratio.mean())
    total = part().case_wrench[:, :3].double().numpy() * problem.material.yield_strength_pa * size**2
    np.testing.assert_allclose(total, forces.sum(axis=1), rtol=1e-5, atol=1e-5 * np.abs(forces.sum(axis=1)).max())


def test_the_truth_is_that_of_the_simulation_and_the_virgin_state_is_zero() -> None:
    solved = simulation(*PART)
    material = solved.problem.material
    unit = material.yield_strength_pa / material.youngs_modulus_pa
    strain, equivalent = part().truth(torch.tensor([[1, 6], [1, -1]]))
    found = strain[0].reshape(-1, 6)[part().yielded].double().numpy() * unit / HALVE_SHEAR
    # Half precision.
    np.testing.assert_allclose(found, solved.plastic_strain[1, 6], rtol=1e-3, atol=1e-3 * unit)
    assert not strain[1].any() and not equivalent[1].any()
    assert not part().factors_at(torch.tensor([[1, -1]])).any()


def test_a_part_comes_back_from_its_file(tmp_path: Path) -> None:
    save_rival(part(), tmp_path / "part.safetensors")
    again = load_rival(tmp_path / "part.safetensors")
    for name in RivalPart.__dataclass_fields__:
        assert torch.equal(getattr(again, name), getattr(part(), name)), name


def test_means_at_the_corners_keep_a_constant() -> None:
    field = torch.full((1, *part().share.shape, 2), 3.0)
    torch.testing.assert_close(on_nodes(part(), field), torch.full((1, len(part().positions), 2), 3.0))


def test_thinned_cells_keep_integrals_on_average() -> None:
    strain, _ = part().truth(fullest())
    whole = thinned(part(), 10**6)
    torch.testing.assert_close(field_norm(whole, whole.truth(fullest())[0]), field_norm(part(), strain))
    torch.manual_seed(0)
    draws = []
    for _ in range(200):
        few = thinned(part(), 24)
        draws.append(field_norm(few, few.truth(fullest())[0]).square().item())
    expected, error = field_norm(part(), strain).square().item(), np.std(draws) / 200**0.5
    assert abs(np.mean(draws) - expected) < 4 * error
    assert np.std(draws) > 0


@torch.no_grad()
def test_meshgraphnet_does_not_see_the_numbering() -> None:
    torch.manual_seed(0)
    network = MeshGraphNet(width=16, layers=3)
    moved, _ = renumbered(part())
    now, before = part().factors_at(STATES), part().factors_at(STATES - torch.tensor([0, 1]))
    state = PlasticRead(*part().truth(STATES - torch.tensor([0, 1])))
    mine, other = (network(p, now, before, state) for p in (part(), moved))
    torch.testing.assert_close(other.strain, mine.strain, rtol=SINGLE, atol=SINGLE * float(mine.strain.abs().max()))
    # An increment grows the accumulated strain by its own size: the flow rule.
    size = torch.sqrt(2 / 3 * (mine.strain[..., :3].square().sum(-1) + 2 * mine.strain[..., 3:].square().sum(-1)))
    torch.testing.assert_close(mine.equivalent, size, rtol=1e-3, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("anchor", [False, True])
def test_transolver_does_not_see_the_numbering(anchor: bool) -> None:
    torch.manual_seed(0)
    network = Transolver(anchor, width=16, layers=2, slices=8)
    moved, _ = renumbered(part())
    mine, other = (network(p, STATES) for p in (part(), moved))
    torch.testing.assert_close(other.strain, mine.strain, rtol=SINGLE, atol=SINGLE * float(mine.strain.abs().max()))
    assert (mine.equivalent >= 0).all()
    # Plastic flow keeps the volume.
    assert mine.strain[..., :3].sum(-1).abs().max() < 1e-5 * mine.strain.abs().max()


@torch.no_grad()
def test_points_that_are_alike_are_answered_alike_by_slices() -> None:
    torch.manual_seed(0)
    attention = PhysicsAttention(16, 8)
    points = torch.randn(1, 5, 16)
    twice = torch.cat([points, points[:, :1]], dim=1)
    found = attention(twice)
    torch.testing.assert_close(found[:, 0], found[:, 5])


def test_only_transolver_with_the_anchor_reads_elastic_stress() -> None:
    torch.manual_seed(0)
    other = replace(part(), case_stress=part().case_stress * 2)
    for anchor in (False, True):
        network = Transolver(anchor, width=16, layers=1, slices=8)
        with torch.no_grad():
            same = torch.equal(network(part(), STATES).strain, network(other, STATES).strain)
        assert same is not anchor


def test_the_largest_stress_so_far_does_not_look_ahead() -> None:
    stress = part().case_stress.float()
    early = anchor_features(stress, part(), torch.tensor([[0, 2]]))
    cut = replace(part(), factors=part().factors[:, :3])
    assert torch.equal(early, anchor_features(stress, cut, torch.tensor([[0, 2]])))
    # At its own largest, now and so far are the same.
    first = anchor_features(stress, part(), torch.tensor([[0, 0]]))[0]
    torch.testing.assert_close(first[..., :6], first[..., 6:12])


def test_noise_is_a_share_of_the_state_whatever_its_size() -> None:
    state = PlasticRead(*part().truth(fullest()))
    ten = PlasticRead(10 * state.strain, 10 * state.equivalent)
    found = []
    for each in (state, ten):
        torch.manual_seed(1)
        found.append(noisy(part(), each).strain - each.strain)
    torch.testing.assert_close(found[1], 10 * found[0], rtol=1e-3, atol=1e-4)
    still = state.equivalent == 0
    assert not found[0][still].any() and found[0][~still].any()
    own = torch.sqrt(state.strain[..., :3].square().sum(-1) + 2 * state.strain[..., 3:].square().sum(-1))[~still]
    scale = NOISE_OWN * own + NOISE_PART * field_norm(part(), state.strain)
    torch.manual_seed(2)
    draws = [(noisy(part(), state).strain - state.strain)[~still].square().sum(-1) / scale.square() for _ in range(50)]
    # A thousand draws of six numbers.
    assert float(torch.stack(draws).mean()) == pytest.approx(1.0, abs=0.05)
    virgin = PlasticRead(torch.zeros_like(state.strain), torch.zeros_like(state.equivalent))
    assert not noisy(part(), virgin).strain.any()


def test_the_compressed_error_rewards_a_right_direction_long_before_the_size_is_right() -> None:
    """The plain relative error of a tenth of the truth is 0.9, of three tenths 0.7."""
    strain, _ = part().truth(fullest())
    found = {share: float(compressed_error(part(), share * strain, strain)) for share in (0.0, 0.01, 0.1, 0.3, 1.0)}
    assert found[1.0] < 1e-6 < found[0.3] < found[0.1] < found[0.01] < found[0.0] < 1
    assert found[0.1] < 0.8 and found[0.3] < 0.5
    assert float(compressed_error(part(), -0.1 * strain, strain)) > found[0.0]
    assert float(compressed_error(part(), 0.1 * strain, strain, beside=torch.ones(1))) < found[0.1]


def test_a_rollout_sums_its_increments() -> None:
    torch.manual_seed(0)
    states = rollout(MeshGraphNet(width=16, layers=2), part(), part().factors)
    assert len(states) == part().factors.shape[1]
    for before, after in pairwise(states):
        assert (after.equivalent >= before.equivalent).all()


@pytest.mark.parametrize("kind", ["meshgraphnet", "transolver"])
def test_a_network_learns_one_part(kind: str) -> None:
    torch.manual_seed(0)
    network = MeshGraphNet(16, 2) if kind == "meshgraphnet" else Transolver(True, 16, 2, 8)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for step in range(60):
        wanted = draw_states(part(), 2, kind == "meshgraphnet", np.random.default_rng(step))
        loss = (
            step_loss(network, part(), wanted)
            if isinstance(network, MeshGraphNet)
            else state_loss(network, part(), wanted)
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    assert np.isfinite(losses).all()


def test_a_run_ends_with_its_budget_and_goes_on_where_it_stopped(campaign: Path, tmp_path: Path) -> None:
    config = RivalConfig("transolver", campaign, tmp_path, cpu_seconds=0.1, parts=1, states=1, save_every=0.05)
    lines: list[tuple[int, float]] = []
    first = train_rival(config, lambda step, seconds, loss: lines.append((step, seconds)))
    assert lines[-1][1] >= 0.1
    again = train_rival(config, lambda step, seconds, loss: lines.append((-1, 0.0)))
    assert lines[-1][0] > 0  # nothing was left to do
    kept = trained_rival("transolver", tmp_path)
    for a, b, c in zip(first.parameters(), again.parameters(), kept.parameters(), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)
    train_rival(replace(config, cpu_seconds=0.2), lambda step, seconds, loss: lines.append((step, seconds)))
    assert lines[-1][0] > lines[-2][0] > 0
