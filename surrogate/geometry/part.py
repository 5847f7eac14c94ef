"""A file becomes a part: `load_part` picks the reader by the file's suffix and runs it in its own process."""

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from surrogate.errors import GeometryError, TooLargeError, UnsupportedFormatError
from surrogate.geometry.element_size import element_size
from surrogate.geometry.file_kinds import FORMATS, check_content, file_format
from surrogate.geometry.isolation import run_isolated
from surrogate.geometry.length_units import METRES_PER_UNIT, metres_per_unit
from surrogate.geometry.saved_mesh import load_saved_mesh
from surrogate.geometry.tet_mesh import TetMesh

_log = logging.getLogger(__name__)

MOST_BYTES = 1 << 30
# Enough for the largest mesh that is read or made.
_MEMORY_BYTES = 8 << 30
_DEFAULT_TIMEOUT_S = 58.0
# Limits are on CPU time; a busy machine may take so many times as long.
_WALL_FACTOR = 6.0
_FINE_TIMEOUT_S = 300.0
_UNPACKING_SECONDS = 60.0
_UNPACKING_BYTES = 1 << 30


@dataclass(frozen=True)
class _Attempt:
    """One way of meshing a STEP file; each runs in a new process.

    Attributes:
        surface_algorithm: see `MeshSettings`.
        volume_algorithm: see `MeshSettings`.
        segments_per_turn: see `MeshSettings`.
        shrink: factor on the element size.
        heal: repair while reading.
        budget: coarsen where the part would get more points than a default should.
        share: of the time.
    """

    surface_algorithm: str
    volume_algorithm: str
    segments_per_turn: int
    shrink: float
    heal: bool
    budget: bool
    share: float


_ATTEMPTS = (
    _Attempt("frontal", "delaunay", 12, 1.0, heal=False, budget=True, share=0.35),
    # Overlapping surface triangles come from features smaller than the elements: resolve them, whatever it costs.
    _Attempt("delaunay", "delaunay", 8, 1.0, heal=False, budget=False, share=0.25),
    _Attempt("delaunay", "hxt", 12, 0.6, heal=False, budget=False, share=0.15),
    _Attempt("meshadapt", "delaunay", 0, 0.8, heal=True, budget=True, share=0.1),
    _Attempt("delaunay", "delaunay", 0, 1.0, heal=False, budget=True, share=0.15),
)


# Ways of filling a surface and their share of the time, see `surface_mesher`.
_SURFACE_WAYS = (("remesh", 0.4), ("remesh-fine", 0.35), ("keep", 0.25))


def load_part(
    path: Path,
    *,
    length_unit: str | None = None,
    element_size_m: float | None = None,
    timeout_s: float | None = None,
) -> TetMesh:
    """Read or mesh a part.

    Nothing of the file is parsed in this process: its readers run in isolated children (`isolation`), and only its
    first and last bytes are looked at here. STEP is meshed; STL and OBJ surfaces are filled; VTU, VTK, MSH (gmsh), INP
    (Abaqus, CalculiX) and BDF/NAS (Nastran) volume meshes are taken as they are, linear ones with added mid-edge
    points. Each may be gzipped (`part.step.gz`).

    Args:
        path: the file; its suffix says the format, in any case.
        length_unit: "m", "mm", "cm", "in", "ft" or "um". Required unless the file states its unit (STEP), refused where
            it contradicts the file.
        element_size_m: largest element edge for STEP, STL and OBJ; by default chosen from the part, for about 4k to 6k
            points (see `element_size.default_element_size`; `element_size.element_size` tells what a mesh has).
            Volume meshes keep their cells: it is refused for them.
        timeout_s: limit on the CPU time of reading or meshing; by default 58 s, 300 s with an element size given. The
            clock may run six times as long on a busy machine.

    Raises:
        UnsupportedFormatError: no reader for this suffix, or the file is of another format than its suffix says.
        TooLargeError: the file or its mesh is over a limit.
        GeometryError: the file cannot become a solid mesh; the message says why.
        InfrastructureError: a library is missing.
    """
    kind = file_format(path)
    if not _is_file(path):
        raise GeometryError(f"{path.name[:200]!r}: there is no such file; check the path")
    if element_size_m is not None and not 0 < element_size_m < float("inf"):
        raise GeometryError(f"element_size_m must be positive, got {element_size_m:g}")
    if element_size_m is not None and not FORMATS[kind].meshed:
        raise GeometryError(f"{path.name} is a volume mesh and keeps its cells; leave element_size_m out")
    if length_unit is not None:
        metres_per_unit(length_unit)
    elif kind != "step":
        raise GeometryError(
            f"{path.name}: this format carries no length unit; give the argument length_unit, one of "
            f"{', '.join(METRES_PER_UNIT)}"
        )
    limit = timeout_s or (_DEFAULT_TIMEOUT_S if element_size_m is None else _FINE_TIMEOUT_S)
    # Without `..`: the folder before it does not exist where the reader looks from.
    place = path.parent.resolve() / path.name
    with _unpacked(place, kind) as file, _workplace("part-") as directory:
        check_content(file, kind, path.name)
        out = directory / "mesh.npz"
        if kind == "step":
            mesh = _mesh_step(file, path.name, out, length_unit, element_size_m, limit)
        else:
            scale = metres_per_unit(length_unit or "m")
            arguments = [str(file), str(out), repr(scale), kind, path.name]
            if FORMATS[kind].meshed:
                mesh = _fill_surface(arguments, file, path.name, out, element_size_m, limit)
            else:
                mesh = _run("surrogate.geometry.mesh_files", arguments, file, path.name, out, limit)
    size_m = element_size(mesh)
    _log.info("%s: %d points, %d cells, element size %.3g m", path.name, len(mesh.points), len(mesh.cells), size_m)
    return mesh


def _is_file(path: Path) -> bool:
    """Whether there is such a file; no path that the system refuses is one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _mesh_step(
    file: Path, name: str, out: Path, length_unit: str | None, element_size_m: float | None, limit: float
) -> TetMesh:
    """Mesh a STEP file, with other settings while it fails and time is left."""
    failures: list[str] = []
    for attempt in _ATTEMPTS:
        if any(_is_timeout(failure) for failure in failures) and attempt is not _ATTEMPTS[-1]:
            # Finer would take longer still; only the cheapest way is left.
            continue
        job: dict[str, object] = {"file": str(file), "name": name, "out": str(out), "length_unit": length_unit}
        job["element_size_m"] = element_size_m
        settings = {key: value for key, value in asdict(attempt).items() if key != "share"}
        order = out.with_name("job.json")
        order.write_text(json.dumps(job | settings))
        try:
            return _run("surrogate.geometry.step_mesher", [str(order)], file, name, out, attempt.share * limit)
        except TooLargeError:
            raise
        except GeometryError as error:
            _log.info("%s: %s: %s", name, attempt, error)
            failures.append(str(error).removeprefix(f"{name}: "))
            if _is_final(str(error)):
                raise
    tried = f"{len(failures)} ways of meshing were tried"
    raise GeometryError(f"{name} cannot be meshed: {failures[-1]} ({tried}); repair it in CAD or simplify it")


def _fill_surface(
    arguments: list[str], file: Path, name: str, out: Path, element_size_m: float | None, limit: float
) -> TetMesh:
    """Fill a triangle surface, with other settings while it fails and time is left."""
    size = "auto" if element_size_m is None else repr(element_size_m)
    failures: list[str] = []
    for way, share in _SURFACE_WAYS:
        try:
            return _run("surrogate.geometry.surface_mesher", [*arguments, size, way], file, name, out, share * limit)
        except TooLargeError:
            raise
        except GeometryError as error:
            _log.info("%s: %s: %s", name, way, error)
            failures.append(str(error).removeprefix(f"{name}: "))
            if not _is_meshing_failure(str(error)):
                raise
    raise GeometryError(
        f"{name} cannot be filled: {failures[-1]} ({len(failures)} ways of meshing were tried); its surface probably "
        "intersects itself, repair it in a mesh tool"
    )


def _is_meshing_failure(message: str) -> bool:
    """Whether other settings may help a surface that was read and found closed."""
    return any(
        text in message for text in ("meshing ", "into patches", "no result", "crashed", "cells", "failed", "CPU time")
    )


def _is_timeout(message: str) -> bool:
    """Whether an attempt ran out of time."""
    return "no result after" in message or "CPU time" in message


def _is_final(message: str) -> bool:
    """Whether other settings cannot help."""
    signs = (
        "separate solids", "no shape", "holds no solid", "cannot be read as STEP", "encloses no volume", "length unit",
        "length_unit",
    )  # fmt: skip
    return any(sign in message for sign in signs)


def _run(module: str, arguments: list[str], file: Path, name: str, out: Path, limit: float) -> TetMesh:
    """Run a reader on a file and load what it saved."""
    out.unlink(missing_ok=True)
    run_isolated(
        module,
        arguments,
        reads=(file,),
        writes=(out.parent,),
        timeout_s=_WALL_FACTOR * limit,
        cpu_s=limit,
        memory_bytes=_MEMORY_BYTES,
        subject=name,
        death=GeometryError,
    )
    try:
        return load_saved_mesh(out)
    except GeometryError as error:
        raise type(error)(f"{name}: {error}") from error


@contextmanager
def _unpacked(path: Path, kind: str) -> Iterator[Path]:
    """The file, or its content where it is gzipped, under a size limit."""
    if path.stat().st_size > MOST_BYTES:
        raise TooLargeError(
            f"{path.name} has {path.stat().st_size >> 20} MiB, the limit is {MOST_BYTES >> 20} MiB; use larger elements"
        )
    if path.suffix.lower() != ".gz":
        yield path
        return
    with _workplace("unpacked-") as directory:
        unpacked = directory / f"part.{kind}"
        run_isolated(
            "surrogate.geometry.unpacking",
            [str(path), str(unpacked), str(MOST_BYTES), path.name],
            reads=(path,),
            writes=(directory,),
            timeout_s=_WALL_FACTOR * _UNPACKING_SECONDS,
            cpu_s=_UNPACKING_SECONDS,
            memory_bytes=_UNPACKING_BYTES,
            subject=path.name,
            death=UnsupportedFormatError,
        )
        yield unpacked


@contextmanager
def _workplace(prefix: str) -> Iterator[Path]:
    """A folder of its own for one child; what a killed one still writes while it is removed is no error."""
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as directory:
        yield Path(directory)
