"""What belongs to a row: its job, and the keys of its files."""

import re

from api import blobs as keys
from api.jobs import Job, prediction_kind
from api.tables import MeshRow, PredictionRow, Row


def job_of(row: Row) -> Job:
    """The job that finishes a row."""
    if isinstance(row, PredictionRow):
        return Job(prediction_kind(row.fidelity), row.id, row.run, row.turn)
    return Job("mesh", row.id, row.run, row.turn)


def mesh_key(mesh_id: str) -> str:
    """Where the mesh of a part is kept."""
    return f"{keys.of_mesh(mesh_id)}/mesh.npz"


def upload_key(row: MeshRow) -> str:
    """Where the uploaded file is kept; its name is ours, only the suffix is the user's."""
    return f"{keys.of_mesh(row.id)}/part{row.suffix}"


def display_name(row: MeshRow) -> str:
    """The user's name of a part as a harmless file name with the suffix of its format."""
    stem = re.sub(r"[^\w -]+", "_", row.name.split(".")[0])[:60].strip() or "part"
    return f"{stem}{row.suffix}"
