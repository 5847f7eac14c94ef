"""Where the network runs is chosen by name, and a wrong name is told."""

import pytest
import torch

from surrogate.errors import InputError
from surrogate.model.device import choose_device


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto").type == kind
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"device '{name}' asked, but no GPU is visible; use 'auto' or 'cpu'"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cpu core"])
def test_an_unknown_device_is_told(name: str) -> None:
    with pytest.raises(InputError, match="no device"):
        choose_device(name)
