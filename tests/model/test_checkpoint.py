"""A model on disk comes back bit by bit, or with an error that says what to do; nothing of it is ever executed."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from surrogate.errors import CheckpointError
from surrogate.model.checkpoint import WEIGHTS, load_checkpoint, parameter_count, save_checkpoint
from surrogate.model.description import DESCRIPTION, read_description, write_description
from tests.model.parts import TINY, lively_model, save_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(save_model(tmp_path / "tiny", lively_model()))


def edited(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    description = read_description(folder)
    change(description)
    write_description(folder, description)


def test_a_model_comes_back_bit_by_bit_and_ready_to_predict(folder: Path) -> None:
    loaded, saved = load_checkpoint(folder), lively_model()
    assert loaded.model.config == TINY
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert loaded.description["summary"] == "random weights"
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, DESCRIPTION}


def test_saving_again_gives_the_same_bytes(folder: Path) -> None:
    before = (folder / WEIGHTS).read_bytes(), (folder / DESCRIPTION).read_bytes()
    loaded = load_checkpoint(folder)
    save_checkpoint(folder, loaded.model, loaded.description)
    assert ((folder / WEIGHTS).read_bytes(), (folder / DESCRIPTION).read_bytes()) == before


def test_whoever_may_read_the_description_may_read_the_weights(folder: Path) -> None:
    assert (folder / WEIGHTS).stat().st_mode == (folder / DESCRIPTION).stat().st_mode


def test_parameters_are_counted() -> None:
    assert parameter_count(torch.nn.Linear(3, 4)) == 16


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_cut_off_weights_are_refused(folder: Path, keep: int) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:keep])
    with pytest.raises(CheckpointError, match=r"weights in 'tiny' are damaged.*install"):
        load_checkpoint(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="weights in 'tiny'"):
        load_checkpoint(folder)


def test_weights_of_a_model_of_other_sizes_are_refused(folder: Path, tmp_path: Path) -> None:
    edited(folder, lambda d: d.update(model={**TINY.as_json(), "width": 32}))
    with pytest.raises(CheckpointError, match="weights in 'tiny'"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "sizes",
    [
        None,
        [],
        {},
        {**TINY.as_json(), "memory": 3},
        {key: value for key, value in TINY.as_json().items() if key != "gate"},
        {**TINY.as_json(), "width": "wide"},
        {**TINY.as_json(), "width": -16},
        {**TINY.as_json(), "predictor_layers": None},
    ],
)
def test_unknown_sizes_are_refused(folder: Path, sizes: object) -> None:
    edited(folder, lambda d: d.update(model=sizes))
    with pytest.raises(CheckpointError, match="sizes"):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 0}', json.dumps({"format": "1"})])
def test_another_description_is_refused(folder: Path, text: str) -> None:
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(CheckpointError, match="'tiny'"):
        load_checkpoint(folder)


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train or install"):
        load_checkpoint(tmp_path)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (pytest.fail, ("a model ran code while it was loaded",))


@pytest.mark.parametrize("write", [lambda path: path.write_bytes(pickle.dumps(_Trap())), lambda p: torch.save({}, p)])
def test_a_pickle_by_another_name_is_refused_and_never_run(folder: Path, write: Callable[[Path], object]) -> None:
    write(folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)


def test_reading_a_model_unpickles_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a model is read by unpickling")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    load_checkpoint(folder)
