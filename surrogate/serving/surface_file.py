"""The surface of a part and the fields on it as safetensors, for the web page and for programs.

A safetensors file is the length of its header (8 bytes, little-endian), the header in JSON (name, type, shape and place
of each array, strings under `__metadata__`) and the arrays themselves, so a browser views them without copying:
https://huggingface.co/docs/safetensors. The triangles go from corner to corner of the boundary triangles.

Shape letters: P surface points, F triangles, L line segments, S stored steps, C cells, Q = 4 quadrature points a cell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from surrogate.errors import InputError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.invariants import von_mises
from surrogate.serving.fields_file import Arrays, load_arrays, written_whole
from surrogate.serving.surface import corner_surface_of

_PEAK, _LOW, _HIGH = (f"{group}.peak_von_mises_pa" for group in ("scalars", "scalars_low", "scalars_high"))
_READ = (
    *("steps", "displacement", "stress", "equivalent_plastic_strain", "quadrature_volume"),
    *(_PEAK, _LOW, _HIGH),
)
_MEAN = "volume-weighted mean over the quadrature points beside the point; never above their largest"
_SCALED = (
    "width of the 90 % interval of the step's peak von Mises stress, over that peak, times the local value: "
    "scaled from the peak's interval, not calibrated point by point"
)


def write_surface(mesh: TetMesh, path: Path) -> None:
    """Writes the surface of a part.

    The file holds `points` [P, 3] (m) in single precision and, in 32-bit unsigned integers, `triangles` [F, 3]
    (counter-clockwise seen from outside), `triangle_face` [F] (face ids), `edges` [L, 2] (the lines where faces meet)
    and `point_ids` [P] (index into the points of the mesh).

    Args:
        mesh: the part.
        path: the file.
    """
    surface = corner_surface_of(mesh)
    arrays: Arrays = {
        "points": surface.points.astype(np.float32),
        "triangles": surface.triangles.astype(np.uint32),
        "triangle_face": surface.triangle_face.astype(np.uint32),
        "edges": surface.edges.astype(np.uint32),
        "point_ids": surface.point_ids.astype(np.uint32),
    }
    _write(path, arrays, {"kind": "surface", "points": "m", "triangles": "one a boundary triangle, corner to corner"})


def write_surface_fields(mesh: TetMesh, answer: Path, path: Path, *, history: str, step: int | None = None) -> None:
    """Writes the fields of one load history at the points of `write_surface`, in their order.

    The file holds `steps` [S] and, in single precision, `displacement` [S, P, 3] (m), `von_mises` [S, P] (Pa),
    `plastic_strain` [S, P] (equivalent, 1) and, for an answer with intervals (a calibrated model's),
    `von_mises_interval` [S, P] (Pa). Its metadata name the history, the units and what the interval means.

    Args:
        mesh: the part.
        answer: a file of `save_fields` for this part.
        path: the file.
        history: name of the load history.
        step: index of a stored step; None takes all that are stored.

    Raises:
        InputError: no such history, or the step is not stored.
    """
    read = load_arrays(answer, history, _READ)
    steps, volume = read["steps"], cast(FloatArray, read["quadrature_volume"])
    wanted = np.flatnonzero(steps == step) if step is not None else np.arange(len(steps))
    if not len(wanted):
        raise InputError(f"step {step} of {history!r} is not stored; stored steps are {steps.tolist()}")
    point_ids = np.unique(mesh.triangles[:, :3])
    beside = _Beside.of(mesh, point_ids, volume)
    stress, strain = read["stress"], read["equivalent_plastic_strain"]
    arrays: Arrays = {
        "steps": steps[wanted].astype(np.uint32),
        "displacement": read["displacement"][wanted][:, point_ids].astype(np.float32, copy=False),
        "von_mises": _stacked(beside.mean(von_mises(beside.tensor(stress[index]))) for index in wanted),
        "plastic_strain": _stacked(beside.mean(beside.scalar(strain[index])) for index in wanted),
    }
    metadata = {"history": history, "displacement": "m", "von_mises": "Pa", "plastic_strain": "1", "averaging": _MEAN}
    if _LOW in read:
        peak, width = read[_PEAK], cast(FloatArray, read[_HIGH]) - cast(FloatArray, read[_LOW])
        relative = (width / np.maximum(cast(FloatArray, peak), 1e-300))[steps[wanted]]
        scaled = arrays["von_mises"] * relative[:, None]
        arrays["von_mises_interval"] = scaled.astype(np.float32)
        metadata |= {"von_mises_interval": "Pa", "interval": _SCALED}
    _write(path, arrays, {"kind": "surface fields", **metadata})


@dataclass(frozen=True)
class _Beside:
    """The quadrature points beside the surface's points; point q of a cell lies near its corner q.

    Attributes:
        index: into the C * 4 quadrature points, those of one surface point after those of another [E].
        first: where each surface point's begin [P].
        weight: share of each in the mean of its point [E].
    """

    index: IntArray
    first: IntArray
    weight: FloatArray

    @classmethod
    def of(cls, mesh: TetMesh, point_ids: IntArray, volume: FloatArray) -> "_Beside":
        corners = mesh.cells[:, :4].ravel()
        place = np.full(len(mesh.points), -1, np.int64)
        place[point_ids] = np.arange(len(point_ids))
        index = np.flatnonzero(place[corners] >= 0)
        index = index[np.argsort(place[corners[index]], kind="stable")]
        owner, weight = place[corners[index]], volume.ravel()[index]
        first = np.searchsorted(owner, np.arange(len(point_ids)))
        return cls(index, first, weight / np.add.reduceat(weight, first)[owner])

    def tensor(self, values: NDArray[np.generic]) -> FloatArray:
        """Values of one step [C, Q, 6] as [6, E]."""
        return np.ascontiguousarray(values.reshape(-1, 6)[self.index].T, dtype=np.float64)

    def scalar(self, values: NDArray[np.generic]) -> FloatArray:
        """Values of one step [C, Q] as [E]."""
        return values.ravel()[self.index].astype(np.float64)

    def mean(self, values: FloatArray) -> FloatArray:
        """Values [E] at the surface's points [P]."""
        return np.add.reduceat(self.weight * values, self.first)


def _stacked(steps: Iterable[FloatArray]) -> NDArray[np.float32]:
    return np.stack([step.astype(np.float32) for step in steps])


def _write(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    # Of an array that indexing has left in another order, safetensors would write the memory as it lies.
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with written_whole(path) as stream:
        stream.write(save(contiguous, metadata))
