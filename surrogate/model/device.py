"""Where the network runs."""

import torch

from surrogate.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device of a name: "auto" takes a GPU where there is one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {name!r} asked, but no GPU is visible; use 'auto' or 'cpu'")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no device {name!r}; use 'auto', 'cpu' or 'cuda'") from error
