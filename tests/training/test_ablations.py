"""What must hold for two arms of an ablation to differ in nothing but what they are meant to."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from surrogate.model.encoder import pooled_state
from surrogate.training import ablations
from surrogate.training.samples import TrainingSample, prepare, save_sample
from surrogate.training.token_data import (
    ANCHORS,
    EARLIER,
    ELASTIC,
    PLASTIC,
    STRESS,
    TREND,
    Inputs,
    TokenTable,
    _merged_states,
    accumulated,
    load_table,
    save_table,
    token_table,
    under_anchor,
)
from surrogate.training.token_fine_tuning import fine_tune_tokens
from surrogate.training.token_jepa import TokenJepa, TokenRun, TokenSettings, source
from surrogate.training.token_training import (
    TokenTraining,
    blob_mask,
    draw_rows,
    labelled_parts,
    sketched_isotropy,
    train_tokens,
)
from tests.model.parts import TINY
from tests.training.wedges import PARTS, simulation

RUN = TokenRun(anchor="local", tokens=8, steps=3)
SETTINGS = TokenSettings(width=8, batch=2, first_steps=2)
PAGE = Path(__file__).parent.parent.parent / "docs" / "ablations_page.py"


@pytest.fixture(scope="module")
def samples() -> list[TrainingSample]:
    return [prepare(simulation(*part), TINY) for part in PARTS["train"]]


@pytest.fixture(scope="module")
def prepared(samples: list[TrainingSample], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("prepared")
    for number, sample in enumerate(samples):
        save_sample(sample, folder / f"{number}.safetensors")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def table(prepared: list[Path]) -> TokenTable:
    return token_table(prepared, 8)


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("ablations_page", PAGE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablations_page"] = module
    spec.loader.exec_module(module)
    yield module


def test_all_tokens_kept_change_nothing(samples: list[TrainingSample], prepared: list[Path]) -> None:
    full = token_table(prepared, TINY.tokens)
    mine = full.part == 1
    assert torch.equal(full.actions[mine], samples[1].actions)
    assert torch.equal(full.plastic[mine], samples[1].token_plastic)
    # Half precision is read, averaged with one weight and rounded again.
    torch.testing.assert_close(full.pooled[mine], samples[1].pooled, rtol=2e-3, atol=2e-3)


def test_joined_regions_hold_the_largest_value_and_the_mean_of_the_whole(
    samples: list[TrainingSample], prepared: list[Path], table: TokenTable
) -> None:
    sample, mine = samples[0], table.part == 0
    assert torch.equal(table.plastic[mine].amax(-1), sample.token_plastic.amax(-1))
    assert torch.equal(table.von_mises[mine].amax(-1), sample.token_von_mises.amax(-1))
    # One token: the pooled state of the whole part, as if all active cells had one region.
    one = token_table(prepared[:1], 1)
    points = torch.rand(2, len(sample.graph.active) * 4, 8)
    whole = replace(
        sample.graph, cell_region=torch.zeros_like(sample.graph.cell_region), token_features=torch.zeros(1, 9)
    )
    apart, together = pooled_state(sample.graph, points), pooled_state(whole, points)
    tensors = {
        "pooled": apart[:, None], "graph.cell_region": sample.graph.cell_region, "graph.active": sample.graph.active,
        "graph.volume": sample.graph.volume,
    }  # fmt: skip
    joined = _merged_states(tensors, torch.zeros(TINY.tokens, dtype=torch.int64), 1)
    # Sums of some hundred float32 numbers in another order.
    torch.testing.assert_close(joined[:, 0], together, rtol=1e-4, atol=1e-5)
    assert one.actions.shape[2] == 1


def test_increments_add_up_to_one_action(table: TokenTable) -> None:
    actions = table.actions.float()
    assert torch.equal(accumulated(actions, [1])[..., PLASTIC], actions[:, :1, :, PLASTIC])
    # asinh and log1p of float32 and back.
    torch.testing.assert_close(accumulated(actions, [1] * 8), actions, rtol=1e-3, atol=1e-4)
    pairs = accumulated(accumulated(actions, [2] * 4), [2, 2])
    torch.testing.assert_close(pairs, accumulated(actions, [4, 4]), rtol=1e-3, atol=1e-4)


def test_a_weaker_anchor_reads_nothing_that_only_the_reduced_one_knows(table: TokenTable) -> None:
    actions = table.actions.float()
    hidden = actions.clone()
    # Another reduced anchor over the same local one: every feature moves but the elastic ones and the local level.
    known = [0, 2, 11, 13, 14]
    for feature in (f for f in range(actions.shape[-1]) if f not in known):
        hidden[..., feature] += 0.3
    hidden[..., TREND] = actions[..., TREND] + 1.0
    hidden[..., PLASTIC] = actions[..., PLASTIC] + 0.5
    hidden[..., EARLIER] = actions[..., EARLIER] + 0.4
    inputs = Inputs(actions, table.displacement_features, table.pooled.float())
    others = Inputs(hidden, table.displacement_features + 1, table.pooled.float())
    hardening = torch.full((len(actions),), 0.01)
    for anchor in ("local", "elastic", "none"):
        mine, theirs = under_anchor(inputs, hardening, anchor), under_anchor(others, hardening, anchor)
        # log1p differences of half precision numbers up to 100.
        torch.testing.assert_close(mine.actions, theirs.actions, rtol=1e-3, atol=1e-3)
        assert torch.equal(mine.displacement_features[..., 2], theirs.displacement_features[..., 2])
    elastic = under_anchor(inputs, hardening, "elastic").actions
    torch.testing.assert_close(elastic[..., STRESS], torch.expm1(actions[..., ELASTIC]))
    assert not under_anchor(inputs, hardening, "none").actions.any()
    assert under_anchor(inputs, hardening, "reduced") is inputs


def test_sigreg_knows_a_gaussian_and_a_collapsed_space() -> None:
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(16, 128, generator=generator)
    gaussian = sketched_isotropy(torch.randn(512, 16, generator=generator), directions)
    # The integral of exp(-t^2/2) (1 - exp(-t^2)) over |t| <= 3 is 1.05; 128 directions of one sample scatter.
    assert float(gaussian) == pytest.approx(1.05, rel=0.25)
    collapsed = sketched_isotropy(torch.zeros(512, 16), directions)
    # The integral of exp(-t^2/2) (1 - exp(-t^2/2))^2 times the number of samples; trapezoidal rule with 17 knots.
    assert float(collapsed) == pytest.approx(0.40 * 512, rel=0.02)


def test_hidden_blobs_hold_a_token_and_its_nearest() -> None:
    generator = torch.Generator().manual_seed(1)
    place = torch.arange(100.0)
    distance = (place[:, None] - place).abs()[None].expand(5, -1, -1)
    masked = blob_mask(distance, generator)
    hidden = masked.float().mean(dim=1)
    # At most four blobs of a fifth; they may lie on one another, so at least one of 15 %.
    assert bool((hidden >= 0.15).all()) and bool((hidden <= 0.80).all())
    edges = (masked[:, 1:] != masked[:, :-1]).sum(dim=1)
    assert int(edges.max()) <= 8  # each blob of a line has two ends


def test_fewer_labels_are_a_subset_and_arms_draw_the_same_histories(table: TokenTable) -> None:
    assert set(labelled_parts(100, 10, 3)) < set(labelled_parts(100, 25, 3))
    assert labelled_parts(100, 0, 3) == list(range(100))
    one, two = (draw_rows(table, [0, 2, 3], np.random.default_rng([0, 5, 0]), 6) for _ in range(2))
    assert torch.equal(one, two)
    assert set(table.part[one].tolist()) <= {0, 2, 3}
    assert torch.equal(table.part[one][0::2], table.part[one][1::2])


def test_arms_start_from_the_same_weights_and_a_run_repeats_itself(table: TokenTable) -> None:
    one, two = (TokenTraining(replace(RUN, latent=latent), SETTINGS, table) for latent in ("none", "all"))
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))
    first, again = (train_tokens(RUN, SETTINGS, table, table) for _ in range(2))
    assert first.errors == again.errors and first.collapse == again.collapse


@pytest.mark.parametrize(
    "run",
    [
        replace(RUN, latent="all", collapse="sigreg"),
        replace(RUN, collapse="ema", inverse=False, one_step_only=True),
        replace(RUN, horizon=3, rollout="decoded", stop_gradient=False),
        replace(RUN, horizon=3, rollout="direct", anchor="reduced"),
        replace(RUN, latent="none", first="masked", anchor="none"),
        replace(RUN, latent="none", first="dynamics", anchor="elastic"),
    ],
)
def test_every_arm_learns_and_is_judged(run: TokenRun, table: TokenTable) -> None:
    outcome = train_tokens(run, SETTINGS, table, table)
    judged = {"8", "3"} if run.horizon else {"8"}
    assert set(outcome.histories) == judged
    assert all(np.isfinite(pair).all() for pair in outcome.errors.values())
    # Not the untrained answer: three optimiser steps have moved it.
    still = train_tokens(replace(run, steps=0, first=""), SETTINGS, table, table)
    assert outcome.errors != still.errors


def test_fine_tuning_learns_what_only_its_own_parts_show(table: TokenTable) -> None:
    """Parts that flow twice as much as others under the same loads."""
    softer = replace(table, plastic=2 * table.plastic)
    run = TokenRun(anchor="local", tokens=8, latent="none", steps=60)
    found = fine_tune_tokens(run, replace(SETTINGS, learning_rate=1e-2), (table, softer, softer), 60)
    name = next(key for key in found.before if key.startswith("peak plastic strain"))
    assert found.after[name][0] < 0.7 * found.before[name][0]
    # Trained without them, the network does not know of these.
    assert found.before[name][0] > 0.25


def test_direct_and_latent_rollout_agree_on_the_first_step(table: TokenTable) -> None:
    model, seen = TokenJepa(8), source(table, table, replace(RUN, stride=1))
    batch = seen.batch(torch.tensor([0, 1]), 2)
    geometry = model.geometry(batch.geometry, batch.distance)
    first = [model.roll(batch.actions, geometry, how)[:, :, 0] for how in ("latent", "decoded", "direct")]
    # The same operations on batches of another size.
    torch.testing.assert_close(first[0], first[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first[0], first[2], rtol=1e-3, atol=1e-3)


def test_a_run_that_is_done_is_not_done_again(table: TokenTable, tmp_path: Path) -> None:
    def none(*_: object) -> TokenTable:
        raise AssertionError("trained again")

    found = ablations.perform(RUN, SETTINGS, tmp_path, lambda *_: table)
    assert ablations.perform(RUN, SETTINGS, tmp_path, none) == found
    save_table(table, tmp_path / "table.safetensors")
    assert torch.equal(load_table(tmp_path / "table.safetensors").actions, table.actions)


def test_every_anchor_and_seed_has_its_turn_and_the_decisive_ones_come_first() -> None:
    wanted = ablations.comparisons(TokenRun(), 420)
    runs = ablations.runs_in_order(wanted)
    assert len(set(runs)) == len(runs)
    assert {run.anchor for run in runs} == set(ANCHORS)
    assert {comparison.ablation for comparison in wanted} == set(ablations.ABLATIONS)
    decisive = {replace(c.arm, seed=s) for c in wanted if c.turn == 0 for s in ablations.SEEDS}
    assert decisive <= set(runs[: 2 * len(decisive)])
    # A tenth, a quarter, a half and all of the parts at hand, and few of them.
    assert {0, 42, 50, 105, 200, 210} == {run.parts for run in runs}


def _figures(arm: list[float], other: list[float]) -> dict[str, object]:
    def sides(values: list[float]) -> dict[str, dict[str, list[float]]]:
        return {f"20 {name}": {"median": values, "p90": values} for name in ablations.SCALARS}

    monitors = dict.fromkeys(("rank_within_part", "dynamic_share", "shuffled_ratio", "drift"), 1.0)
    return {
        "ablation": "Stop-gradient", "name": "off against on", "seeds": list(range(len(arm))), "arm": sides(arm),
        "against": sides(other), "anchor": sides(other), "collapse": {"arm": monitors, "against": monitors},
        "seconds": {"arm": 2.0, "against": 1.0}, "histories": {"20": 9},
    }  # fmt: skip


def test_a_verdict_needs_three_seeds_that_agree_and_more_than_nothing(page: ModuleType) -> None:
    key = f"20 {ablations.SCALARS[0]}"
    assert page.judged(_figures([0.10, 0.11, 0.12], [0.2, 0.2, 0.2]), key) == "better"
    assert page.judged(_figures([0.3, 0.3, 0.3], [0.2, 0.2, 0.2]), key) == "worse"
    assert page.judged(_figures([0.10, 0.11, 0.21], [0.2, 0.2, 0.2]), key) == ""
    assert page.judged(_figures([0.199, 0.199, 0.199], [0.2, 0.2, 0.2]), key) == ""
    assert page.judged(_figures([0.1, 0.1], [0.2, 0.2]), key) == ""
    assert "hint" in page.verdict([_figures([0.1], [0.2])], ablations.SCALARS)


def test_what_is_written_can_be_read_as_a_section(page: ModuleType, table: TokenTable, tmp_path: Path) -> None:
    arm, other = RUN, replace(RUN, latent="none")
    wanted = [
        ablations.Comparison(ablations.PREDICTION, "local, 100 %", arm, other),
        ablations.Comparison(ablations.TOKENS, "48 against 24", replace(RUN, tokens=48), arm),
    ]
    for run in (arm, other):
        ablations.perform(run, SETTINGS, tmp_path, lambda *_: table)
    ablations.write(wanted, SETTINGS, RUN, 30, tmp_path, tmp_path / "ablations.json")
    assert json.loads((tmp_path / "ablations.json").read_text())["runs"] == 2
    text = page.ablations_section(tmp_path / "ablations.json")
    assert ", 30 training parts; 2 runs" in text
    assert "### Latent prediction" in text and "**Verdict.**" in text
    assert "Not run for want of time: Number of tokens: 48 against 24." in text


def test_rows_stay_where_their_runs_are_gone_but_not_those_of_other_settings(table: TokenTable, tmp_path: Path) -> None:
    arm, other, out = RUN, replace(RUN, latent="none"), tmp_path / "ablations.json"
    wanted = [
        ablations.Comparison(ablations.PREDICTION, "local, 100 %", arm, other),
        ablations.Comparison(ablations.GRADIENT, "off against on", replace(RUN, stop_gradient=False), arm),
    ]
    runs = {folder: tmp_path / folder for folder in ("first", "second")}
    for folder in runs.values():
        folder.mkdir()
    for run in (arm, other):
        ablations.perform(run, SETTINGS, runs["first"], lambda *_: table)
    ablations.write(wanted, SETTINGS, RUN, 30, runs["first"], out)
    before = json.loads(out.read_text())
    for run in (arm, replace(RUN, stop_gradient=False)):
        ablations.perform(run, SETTINGS, runs["second"], lambda *_: table)
    ablations.write(wanted, SETTINGS, RUN, 30, runs["second"], out)
    after = json.loads(out.read_text())
    assert after["rows"][0] == before["rows"][0] and len(after["rows"]) == 2
    assert (before["runs"], after["runs"]) == (2, 3) and not after["cut"]
    assert after["cpu_seconds"] > before["cpu_seconds"]
    ablations.write(wanted, SETTINGS, RUN, 30, runs["second"], out)
    assert json.loads(out.read_text()) == after
    ablations.write(wanted, SETTINGS, RUN, 31, runs["second"], out)
    assert [row["name"] for row in json.loads(out.read_text())["rows"]] == ["off against on"]
