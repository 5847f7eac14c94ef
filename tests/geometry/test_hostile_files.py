"""Files meant to do harm get a readable error in bounded time and memory, and change nothing outside their folder."""

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from surrogate.errors import GeometryError, TooLargeError
from surrogate.geometry import part
from surrogate.geometry.mesh_arrays import MOST_POINTS
from surrogate.geometry.part import load_part
from tests.geometry.hostile_files import (
    ABSURD_SIZES,
    FILES,
    HERE,
    HostileFile,
    bdf,
    bomb,
    inp,
    msh,
    vtu,
    write_many,
)

# Most take a second; with other work on the machine some more. Without limits some of them would take hours.
MOST_SECONDS = 60.0
# Of a child; a 2-million-point mesh needs 1.5 GiB.
MEMORY_BYTES = 2 << 30
# What this process may grow by: it reads the first bytes only.
OWN_BYTES = 100 << 20


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder with a file in it; at the end nothing has been added anywhere."""
    uploads, scratch, elsewhere = (tmp_path / name for name in ("uploads", "scratch", "elsewhere"))
    for folder in (uploads, scratch, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(part, "_MEMORY_BYTES", MEMORY_BYTES)
    yield uploads
    assert os.listdir(scratch) == os.listdir(elsewhere) == []
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "scratch", "uploads"]
    assert len(os.listdir(uploads)) <= 1


def own_bytes(kind: str) -> int:
    """Memory of this process now ("VmRSS") or at most since it was forgotten ("VmHWM")."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind)]
    return int(line.split()[1]) << 10


def refusal(path: Path, unit: str | None) -> GeometryError:
    """The error of a file, which comes in time and names the file."""
    content, start = path.stat().st_mtime_ns, time.monotonic()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before = own_bytes("VmRSS")
    with pytest.raises(GeometryError) as caught:
        load_part(path, length_unit=unit)
    assert time.monotonic() - start < MOST_SECONDS
    assert own_bytes("VmHWM") - before < OWN_BYTES
    assert path.name in str(caught.value) and len(str(caught.value)) < 3000
    assert "memory" not in str(caught.value), "it was stopped by the limit of memory, not by its reader"
    assert path.stat().st_mtime_ns == content
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("file", [*FILES, *ABSURD_SIZES], ids=lambda file: file.name)
def test_a_hostile_file_is_refused(place: Path, file: HostileFile) -> None:
    path = place / file.name
    path.write_bytes(file.content())
    error = refusal(path, file.unit)
    assert type(error) is file.error and re.search(file.says, str(error)), error


def test_entities_call_nobody(place: Path) -> None:
    """XML may name an address to fetch; a listener there hears nothing, wherever the entity stands."""
    with socket.create_server((HERE, 0)) as listening:
        address = f"http://{HERE}:{listening.getsockname()[1]}/x.dtd"
        entity = f'<!ENTITY % x SYSTEM "{address}"> %x; <!ENTITY y SYSTEM "{address}">'
        for name, head in (
            ("subset.vtu", f"<!DOCTYPE VTKFile [{entity}]>"),
            ("outside.vtu", f'<!DOCTYPE VTKFile SYSTEM "{address}">'),
            ("commented.vtu", f"<!-- x --><!DOCTYPE VTKFile [{entity}]>"),
        ):
            path = place / name
            path.write_text(vtu(points="&y;", head=head))
            refusal(path, "mm")
            path.unlink()
        listening.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listening.accept()


def test_odd_paths_name_no_file(place: Path) -> None:
    for path in (place / "../../../../etc/passwd.vtu", Path(f"{place}/a\0b.vtu"), place / ("x" * 5000 + ".vtu")):
        with pytest.raises(GeometryError, match="no such file; check the path"):
            load_part(path, length_unit="mm")
    (place / "folder.vtu").mkdir()
    with pytest.raises(GeometryError, match="no such file"):
        load_part(place / "folder.vtu", length_unit="mm")


def test_scripts_in_a_mesh_file_are_not_run(place: Path) -> None:
    """gmsh has a language of its own, with a command that starts programs."""
    command = f'SystemCall "touch {place}/escaped";\nMerge "/etc/passwd";'
    for name, content in (
        ("between.msh", msh(extra=command)()),
        ("behind.msh", msh()() + command.encode()),
        ("inside.msh", msh()().replace(b"$EndNodes", f"{command}\n$EndNodes".encode())),
    ):
        path = place / name
        path.write_bytes(content)
        try:
            assert len(load_part(path, length_unit="mm").points) == 10
        except GeometryError:
            assert name == "inside.msh"
        path.unlink()
    path = place / "script.msh"
    path.write_text(f"\n$MeshFormat;\n{command}")
    refusal(path, "mm")


def test_sets_of_sets_of_sets_take_no_time(place: Path) -> None:
    """Ten sets of ten sets each, ten deep, are ten thousand million members if each is looked up anew."""
    lines = ["*NSET, NSET=s0", "1, 2, 3"]
    for depth in range(1, 40):
        lines += [f"*NSET, NSET=s{depth}", ", ".join([f"s{depth - 1}"] * 10)]
    lines += ["*NSET, NSET=circle", "circle, s1"]
    path = place / "sets.inp"
    path.write_bytes(inp(*lines)())
    start = time.monotonic()
    mesh = load_part(path, length_unit="mm")
    assert time.monotonic() - start < MOST_SECONDS
    (held,) = [face for face in mesh.faces if face.name]
    assert held.name is not None and held.name.startswith("s0, s1") and len(held.name) <= 500


def test_long_lines_and_many_columns(place: Path) -> None:
    for name, content in (
        ("columns.inp", inp("*NSET, NSET=a\n" + "1, " * 1_000_000)()),
        ("continued.inp", inp("*NSET, NSET=a,\n" * 30_000)()),
        ("line.bdf", bdf("SET1,1," + "2," * 1_000_000)()),
        ("continued.bdf", bdf("SET1,1,1\n" + "+,2,3\n" * 100_000)()),
        ("comment.bdf", bdf("$" + "x" * 10_000_000)()),
    ):
        path = place / name
        path.write_bytes(content)
        start = time.monotonic()
        assert len(load_part(path, length_unit="mm").points) == 10
        assert time.monotonic() - start < MOST_SECONDS
        path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["vtu", "vtk", "msh", "inp", "bdf", "stl", "obj"])
def test_five_million_points_are_refused_before_they_are_read(
    place: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a memory that does not hold what they would become: a gigabyte with the libraries' own maps."""
    monkeypatch.setattr(part, "_MEMORY_BYTES", 1 << 30 if suffix in ("vtu", "vtk", "msh", "bdf") else MEMORY_BYTES)
    path = place / f"many.{suffix}"
    write_many(path, 5_000_000)
    start = time.monotonic()
    error = refusal(path, "mm")
    print(f"{suffix}: {path.stat().st_size >> 20} MiB refused after {time.monotonic() - start:.1f} s: {error}")
    assert isinstance(error, TooLargeError)
    assert re.search(r"(2500000|5000000|2000001) (points|triangles), the limit is 2000000; (use|export)", str(error))
    assert MOST_POINTS == 2_000_000


@pytest.mark.slow
def test_a_gzip_bomb_is_stopped_at_the_limit(place: Path) -> None:
    path = place / "bomb.step.gz"
    path.write_bytes(bomb(1))
    assert path.stat().st_size < 2 << 20
    error = refusal(path, None)
    assert isinstance(error, TooLargeError) and "unpacks to more than 1024 MiB" in str(error)
