"""Surfaces and the fields on them as the service sends them (safetensors), as arrays.

Shape letters: P surface points, F triangles, L line segments, S stored steps.
"""

import json
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from surrogate.client.errors import UnexpectedAnswerError

Float32 = NDArray[np.float32]
UInt32 = NDArray[np.uint32]


@dataclass(frozen=True)
class SurfaceArrays:
    """The surface of a part.

    Attributes:
        points: [P, 3], m.
        triangles: corners counter-clockwise seen from outside [F, 3].
        triangle_face: face id of each triangle [F].
        edges: where faces meet [L, 2].
        point_ids: index into the points of the mesh [P].
    """

    points: Float32
    triangles: UInt32
    triangle_face: UInt32
    edges: UInt32
    point_ids: UInt32


@dataclass(frozen=True)
class FieldArrays:
    """The fields of one load history at the points of the surface.

    Attributes:
        history: name of the load history.
        steps: indices of the steps [S].
        displacement: [S, P, 3], m.
        von_mises: [S, P], Pa.
        plastic_strain: equivalent plastic strain [S, P], 1.
        von_mises_interval: width of the 90 % interval [S, P], Pa; scaled from the peak's, not calibrated point by
            point; None for a solved answer and for a model that is not calibrated.
    """

    history: str
    steps: UInt32
    displacement: Float32
    von_mises: Float32
    plastic_strain: Float32
    von_mises_interval: Float32 | None


def surface_arrays(content: bytes) -> SurfaceArrays:
    """What `GET /v1/meshes/{id}/surface` sent.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    try:
        found = load(content)
        return SurfaceArrays(**{entry.name: found[entry.name] for entry in fields(SurfaceArrays)})
    except (SafetensorError, KeyError) as error:
        raise _unexpected(error) from error


def field_arrays(content: bytes) -> FieldArrays:
    """What `GET /v1/predictions/{id}/fields` sent.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    try:
        found = load(content)
        return FieldArrays(
            history=_metadata(content)["history"],
            steps=found["steps"],
            displacement=found["displacement"],
            von_mises=found["von_mises"],
            plastic_strain=found["plastic_strain"],
            von_mises_interval=found.get("von_mises_interval"),
        )
    except (SafetensorError, KeyError) as error:
        raise _unexpected(error) from error


def _unexpected(error: Exception) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(f"not a file of arrays of this service: {error!r}; is it of this version?")


def _metadata(content: bytes) -> dict[str, str]:
    """The strings of a safetensors header, which its reader of bytes leaves out."""
    length = int.from_bytes(content[:8], "little")
    header: dict[str, dict[str, str]] = json.loads(content[8 : 8 + length])
    return header.get("__metadata__", {})
