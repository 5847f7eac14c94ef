"""The JSON beside a model's weights. Who only asks which models there are does not wait for torch."""

import json
from collections.abc import Mapping
from pathlib import Path

from surrogate.errors import CheckpointError

DESCRIPTION = "model.json"
FORMAT = 1


def write_description(folder: Path, description: Mapping[str, object]) -> None:
    """Replace the JSON of a model folder."""
    temporary = folder / f".{DESCRIPTION}"
    temporary.write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    temporary.rename(folder / DESCRIPTION)


def read_description(folder: Path) -> dict[str, object]:
    """The JSON of a model folder.

    Raises:
        CheckpointError: no model there, or a damaged one.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"no readable model in {folder.name!r} ({error}); train or install one") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(f"the model in {folder.name!r} is not of format {FORMAT}; install a matching version")
    return description
