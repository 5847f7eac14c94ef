"""Displacements that another program wrote as a VTU file a step, or as a PVD series of them.

Shape letters: N points of the mesh, T steps.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import unescape

import numpy as np
from scipy.spatial import cKDTree

from surrogate.errors import InputError
from surrogate.fields import FloatArray
from surrogate.geometry.isolation import run_isolated
from surrogate.geometry.tet_mesh import TetMesh

_READING_SECONDS = 300.0
_READING_BYTES = 16 << 30
# Bounded, or a file of nothing but beginnings takes quadratic time.
_ENTRY = re.compile(r"<DataSet\b[^<>]{0,10000}>")
_ATTRIBUTE = re.compile(r"""\b(timestep|file)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class ResultSeries:
    """Displacements over the steps of one history.

    Attributes:
        points: places of the file's points, in its own length unit [N', 3].
        displacement: of those, in the same unit [T, N', 3].
    """

    points: FloatArray
    displacement: FloatArray


def series_files(path: Path) -> list[Path]:
    """The VTU files of a series in order of time: those that a PVD names, or the one VTU itself.

    Raises:
        InputError: not readable, or it names no file, or one outside its own folder.
    """
    if path.suffix.lower() != ".pvd":
        return [path]
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path.name} is over {_MOST_BYTES >> 20} MiB; split the series")
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the series {path.name}: {error}; give a PVD or VTU file") from None
    entries: list[tuple[float, Path]] = []
    for entry in _ENTRY.findall(text):
        found = {name: unescape(double or single) for name, double, single in _ATTRIBUTE.findall(entry)}
        if "file" in found:
            entries.append((_time(found.get("timestep", str(len(entries))), path.name), _beside(path, found["file"])))
    if not entries:
        raise InputError(f"{path.name} names no VTU file; export the series again")
    return [file for _, file in sorted(entries, key=lambda pair: pair[0])]


def _time(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{name} has the time {text[:40]!r}, which is no number; export the series again") from None


def _beside(path: Path, name: str) -> Path:
    """A file that a series names, in the series' folder or below it."""
    place = Path(name)
    if place.is_absolute() or ".." in place.parts or "\0" in name:
        raise InputError(f"{path.name} names {name[:200]!r} outside its own folder; keep the files together")
    return path.parent / place


def read_series(path: Path, array: str) -> ResultSeries:
    """Reads a series.

    Args:
        path: a PVD file, or the VTU file of a history of one step.
        array: name of the displacement among the point data.

    Raises:
        InputError: a file is missing or damaged, has other points than the first, or no such field.
    """
    # Without `..`: the folder before it does not exist where the reader looks from.
    files = [file.parent.resolve() / file.name for file in series_files(path)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(f"{path.name} names {missing[0].name}, which is not there; keep the files together")
    with tempfile.TemporaryDirectory(prefix="series-") as directory:
        out = Path(directory) / "series.npz"
        run_isolated(
            "surrogate.data.series_worker",
            [str(out), array, *map(str, files)],
            reads=files,
            writes=(out.parent,),
            timeout_s=_READING_SECONDS,
            memory_bytes=_READING_BYTES,
            file_bytes=_READING_BYTES,
            subject=path.name,
            death=InputError,
        )
        with np.load(out) as held:
            return ResultSeries(held["points"], held["vectors"])


def displacement_on(mesh: TetMesh, series: ResultSeries, metres_per_unit: float) -> FloatArray:
    """The displacement at the points of a mesh [T, N, 3], m.

    Args:
        mesh: the part, as read from one of the files.
        series: what was read.
        metres_per_unit: of the files' lengths.

    Raises:
        InputError: a point of the mesh is no point of the files.
    """
    distance, place = cKDTree(series.points * metres_per_unit).query(mesh.points)
    strays = int((distance > 1e-6 * max(mesh.size)).sum())
    if strays:
        raise InputError(
            f"{strays} of {len(mesh.points)} points of the part are not in the result files; give one of the result "
            "files as the problem's part, with ten-node tetrahedra, and its length unit"
        )
    return np.asarray(series.displacement[:, place] * metres_per_unit)
