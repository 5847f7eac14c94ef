"""The campaign that the training tests share."""

from pathlib import Path

import pytest

from tests.training.wedges import save_campaign


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small campaign."""
    return save_campaign(tmp_path_factory.mktemp("campaign"))
