"""A part is found under whatever path a user names it by, also by the reader behind its walls."""

import os
import shutil
from pathlib import Path

import pytest

from surrogate.geometry.part import load_part

PART = Path(__file__).parents[2] / "meshes" / "bracket.step"


@pytest.mark.slow
def test_a_path_may_go_up_and_through_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the folder before `..` nor the link is there where the reader looks from."""
    (tmp_path / "work").mkdir()
    (tmp_path / "store").mkdir()
    shutil.copy(PART, tmp_path / "store")
    os.symlink(tmp_path / "store", tmp_path / "parts")
    monkeypatch.chdir(tmp_path / "work")
    assert len(load_part(Path("../parts/bracket.step"), element_size_m=0.015).points) > 100
