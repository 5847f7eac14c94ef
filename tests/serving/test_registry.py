"""Models are found by name, by folder, or the newest of those that ship."""

from pathlib import Path

import pytest

from surrogate.errors import CheckpointError
from surrogate.serving import registry
from surrogate.serving.registry import CARD, find_model, list_models
from tests.model.parts import fresh_model, save_model


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place that ships two models and a folder that is none."""
    folder = tmp_path / "models"
    save_model(folder / "old", fresh_model(), version="2025.01.31-aaaaaaaa", summary="the first")
    save_model(folder / "new", fresh_model(), version="2026.11.02-bbbbbbbb", summary="the second")
    (folder / "new" / CARD).write_text("# new\n\nall of it\n")
    (folder / "empty").mkdir()
    monkeypatch.setattr(registry, "SHIPPED", folder)
    return folder


def test_models_are_listed_the_newest_first(shipped: Path) -> None:
    new, old = list_models()
    assert (new.name, new.version, new.description) == ("new", "2026.11.02-bbbbbbbb", "the second")
    assert (new.path, new.text) == (shipped / "new", "# new\n\nall of it\n")
    assert (old.name, old.text) == ("old", "")


def test_a_model_is_found_by_name_and_the_newest_without_one(shipped: Path) -> None:
    assert find_model(None) == shipped / "new"
    assert find_model("old") == shipped / "old"


def test_a_folder_of_ones_own_is_a_model_too(shipped: Path, tmp_path: Path) -> None:
    own = save_model(tmp_path / "mine", fresh_model())
    assert find_model(own) == Path(own)


@pytest.mark.parametrize("name", ["younger", "models/empty"])
def test_an_unknown_model_is_told_with_those_there_are(name: str, shipped: Path) -> None:
    with pytest.raises(CheckpointError, match=f"no model '{name}'; shipped models: new, old; or give a model's folder"):
        find_model(name)


def test_without_a_shipped_model_the_newest_is_told_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    assert list_models() == ()
    with pytest.raises(CheckpointError, match="no model 'installed'; shipped models: none"):
        find_model(None)
