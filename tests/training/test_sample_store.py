"""A store gives the samples in which something may yield, each read from its file when it is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from surrogate.data.simulation_file import sample_name, save_simulation
from surrogate.physics.problem import LoadHistory
from surrogate.training import samples
from surrogate.training.sample_store import SampleStore
from surrogate.training.samples import STATES_KEPT, load_sample, prepared_path, save_sample
from tests.model.parts import TINY
from tests.training.wedges import HISTORIES, PARTS, sample, simulation

PART = PARTS["train"][-1]


def elastic_file(folder: Path) -> Path:
    """A simulation in which no cell comes near yield."""
    solved = simulation(*PART)
    tiny = tuple(LoadHistory(h.name, 1e-3 * h.factors) for h in solved.problem.load_histories)
    still = replace(solved.scalars, peak_plastic_strain=0 * solved.scalars.peak_plastic_strain)
    nothing = replace(
        solved,
        problem=replace(solved.problem, load_histories=tiny),
        scalars=still,
        yielded=solved.yielded[:0],
        plastic_strain=solved.plastic_strain[:, :, :0],
        equivalent_plastic_strain=solved.equivalent_plastic_strain[:, :, :0],
        inelastic_displacement=0 * solved.inelastic_displacement,
    )
    path = folder / sample_name("wedge", 99_999)
    save_simulation(nothing, path)
    return path


def test_a_store_gives_the_samples_in_the_order_of_their_files_and_reads_each_when_asked(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [campaign / sample_name(*part) for part in PARTS["train"][:2]]
    monkeypatch.setattr(samples, "prepare", lambda simulation, config: sample(simulation.family, simulation.seed))
    store = SampleStore(paths, tmp_path, TINY)
    assert len(store) == len(list(store)) == 2
    for held, part in zip(store, PARTS["train"], strict=False):
        assert torch.equal(held.actions, sample(*part).actions)
    assert torch.equal(store[1].strain, sample(*PARTS["train"][1]).strain)
    assert store[0] is not store[0]  # nothing is held in memory
    with pytest.raises(IndexError):
        store[2]


def test_a_store_leaves_out_the_parts_in_which_nothing_can_yield(campaign: Path, tmp_path: Path) -> None:
    elastic = elastic_file(tmp_path)
    held = load_sample(prepared_path(elastic, tmp_path, TINY))
    assert not len(held.graph.active) and held.strain.shape == (HISTORIES, STATES_KEPT, 0, 4, 6)
    cache = tmp_path / prepared_path(elastic, tmp_path, TINY).parent.name
    yielding = campaign / sample_name(*PART)
    save_sample(sample(*PART), cache / f"{yielding.stem}.safetensors")
    store = SampleStore([elastic, yielding], tmp_path, TINY)
    assert len(store) == 1 and torch.equal(store[0].actions, sample(*PART).actions)
    assert not len(SampleStore([elastic], tmp_path, TINY))
