"""Code that may crash, hang or eat the memory runs in a process of its own, which sees little of the machine.

gmsh segfaults on some STEP files, VTK aborts on a forged point count, meshio raises SystemExit on an XML bomb: none of
them may take the service along. The child gets resource limits, a kill timer and a bare environment (no secrets); its
errors come back as the `SurrogateError` they are. A file that takes the reader over finds bubblewrap around it, or
Landlock where name spaces are forbidden: its input, its output folder, no other file, no network, no other process.
"""

import compileall
import contextlib
import json
import logging
import math
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Literal

from surrogate import errors
from surrogate.errors import InfrastructureError, SurrogateError
from surrogate.geometry.bubblewrap import bubblewrap, installation, system_paths, wrapped
from surrogate.geometry.confinement import landlock_version

_log = logging.getLogger(__name__)

_CHILD = Path(__file__).with_name("isolated_child.py")
_KEPT_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH")
# What drawing needs beside them: it works on this program's own files, with the machine's graphics.
_KEPT_UNCONFINED = ("HOME", "TMPDIR", "DISPLAY")
_KEPT_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "VTK_", "PYVISTA_", "MESA_", "LIBGL_", "GALLIUM_", "EGL_")
_FILE_BYTES = 2 << 30
_MOST_REPORT_BYTES = 1 << 16
_SIGNAL_BASE = 128


@dataclass(frozen=True)
class Isolation:
    """What stands around the readers of untrusted files, beside resource limits, a timer and a bare environment.

    Attributes:
        kind: "bubblewrap" (name spaces: no other file, no network, no other process), "landlock" (no other file, no
            sockets) or "limits" (nothing more).
        reason: why it is not bubblewrap; empty where it is.
    """

    kind: Literal["bubblewrap", "landlock", "limits"]
    reason: str


@cache
def isolation_in_force() -> Isolation:
    """The isolation that this machine allows, tried once; what is missing is logged."""
    reason = bubblewrap().reason
    if not reason:
        return Isolation("bubblewrap", "")
    if landlock_version() > 0:
        _log.warning("files of strangers are read behind Landlock only: %s", reason)
        return Isolation("landlock", reason)
    reason = f"{reason}; the kernel has no Landlock"
    _log.warning(
        "files of strangers are read with resource limits only: %s; install bubblewrap and allow user name spaces, or "
        "run the workers in a container of their own without a network",
        reason,
    )
    return Isolation("limits", reason)


@dataclass(frozen=True)
class _Limits:
    """What a child may use: seconds on the clock and of CPU, bytes of address space and of each file."""

    timeout_s: float
    cpu_s: float
    memory_bytes: int
    file_bytes: int


def run_isolated(
    module: str,
    arguments: Sequence[str],
    *,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
    timeout_s: float,
    memory_bytes: int,
    cpu_s: float | None = None,
    file_bytes: int = _FILE_BYTES,
    subject: str = "",
    death: type[SurrogateError] = InfrastructureError,
    confined: bool = True,
) -> None:
    """Run `python -m module arguments` in its own process group, and wait for it.

    The module is entered without the front door (`import surrogate` gives an empty package there), so it imports the
    rooms it needs, e.g. `from surrogate.geometry.faces import build_tet_mesh`. It starts in an empty folder: paths in
    the arguments are absolute.

    Args:
        module: a module with `if __name__ == "__main__"`.
        arguments: its `sys.argv[1:]`.
        reads: files and folders that it may read, beside the Python installation.
        writes: folders that it may write; what is left there are plain files.
        timeout_s: the whole process group is killed after this time, s.
        memory_bytes: limit on its address space; VTK and gmsh map far more than they use.
        cpu_s: limit on its CPU time, s; twice the timer by default. On a busy machine it is the fairer limit.
        file_bytes: limit on the size of each file that it writes.
        subject: what it works on, as named in error messages (a file name).
        death: error to raise when the child dies, hangs, or raises what it does not mean to.
        confined: False leaves files and network open, for work on this program's own files that needs the machine's
            graphics.

    Raises:
        SurrogateError: what the child raised, of the same class; `death` where it did not end by itself.
        InfrastructureError: a library is missing in the child.
    """
    limits = _Limits(timeout_s, 2 * timeout_s if cpu_s is None else cpu_s, memory_bytes, file_bytes)
    with (
        tempfile.TemporaryDirectory(prefix="isolated-", ignore_cleanup_errors=True) as directory,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as report,
    ):
        scratch = Path(directory)
        command = [sys.executable, "-P", str(_CHILD)]
        may_read, may_write = _absolute(reads), [scratch, *_absolute(writes)]
        isolation = isolation_in_force().kind if confined else "limits"
        if confined:
            _compile_readers()
        orders = {
            "report": report.fileno(),
            "cpu_s": math.ceil(limits.cpu_s),
            "memory_bytes": memory_bytes,
            "file_bytes": file_bytes,
            "confined": confined,
            "landlock": isolation == "landlock",
            "reads": [*system_paths(), *installation(), *map(str, may_read)],
            "writes": [str(path) for path in may_write],
        }
        command += [json.dumps(orders), module, *arguments]
        if isolation == "bubblewrap":
            command = wrapped(bubblewrap().start, command, may_read, may_write, scratch)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=scratch if confined else None,
            env=_environment(scratch if confined else None),
            pass_fds=[report.fileno()],
            start_new_session=True,
        )
        code = _wait(process, timeout_s)
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4000))
        tail = output.read().decode(errors="replace").strip()
        report.seek(0)
        told = report.read(_MOST_REPORT_BYTES)
    if tail:
        _log.debug("%s %s: %s", module, subject, tail)
    if code != 0:
        raise _failure(code, told, subject or module, limits, death)
    if confined and not all(_holds_plain_files(folder) for folder in writes):
        raise death(f"{subject or module}: its reader left something other than files; export the file again")


@cache
def _compile_readers() -> None:
    """Behind walls a child cannot keep the bytecode of its modules, so in a fresh clone each would compile them."""
    if not all(Path(cache_from_source(str(room))).exists() for room in _CHILD.parent.glob("*.py")):
        compileall.compile_dir(_CHILD.parent, quiet=2)


def _absolute(paths: Sequence[Path]) -> list[Path]:
    return [Path(os.path.abspath(path)) for path in paths]


def _environment(home: Path | None) -> dict[str, str]:
    """The variables that a child gets; with a home of its own where it is confined."""
    kept = _KEPT_VARIABLES if home else (*_KEPT_VARIABLES, *_KEPT_UNCONFINED)
    environment = {name: value for name, value in os.environ.items() if name in kept or name.startswith(_KEPT_PREFIXES)}
    # Threads would share the child's limit on CPU time, and make what it computes depend on the machine.
    environment.setdefault("OMP_NUM_THREADS", "1")
    return environment | ({"HOME": str(home), "TMPDIR": str(home)} if home else {})


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """Exit code of a process, None when it was killed by the timer; nothing of its process group is left."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _holds_plain_files(folder: Path) -> bool:
    """Whether a folder holds files and folders only: a link or a pipe would mislead who reads there next."""
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *files):
            mode = os.lstat(os.path.join(directory, name)).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return False
    return True


def _failure(code: int | None, told: bytes, what: str, limits: _Limits, death: type[SurrogateError]) -> SurrogateError:
    """The error that says why a child failed.

    Args:
        code: as `subprocess` gives it, or 128 + signal as bubblewrap does; None for a child killed by the timer.
        told: its own report; empty where it died without one.
        what: it worked on.
        limits: that it had.
        death: class of the error where it did not end by itself.
    """
    if code is None:
        return death(
            f"{what}: no result after {limits.timeout_s:g} s, stopped; simplify the part or use a larger element size"
        )
    try:
        report = json.loads(told)
        name, message = str(report["error"]), str(report["message"])
    except (ValueError, KeyError, TypeError):
        return _death(code, what, death)
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, SurrogateError):
        return kind(message)
    if name in ("ImportError", "ModuleNotFoundError"):
        return InfrastructureError(f"{what}: a library is missing in the child process: {message}")
    if name == "MemoryError":
        gigabytes = limits.memory_bytes / 2**30
        return death(f"{what}: needs more than the limit of {gigabytes:.1f} GiB of memory; use a coarser mesh")
    return death(f"{what}: failed: {name}: {message}; the file may be damaged, export it again")


def _death(code: int, what: str, death: type[SurrogateError]) -> SurrogateError:
    """The error of a child that ended without a word."""
    number = -code if code < 0 else code - _SIGNAL_BASE
    known = number in set(signal.Signals)
    if number == signal.SIGXCPU:
        return death(f"{what}: used up its limit of CPU time; simplify the part or use a larger element size")
    reason = signal.Signals(number).name if known else f"exit code {code}"
    return death(f"{what}: the process that works on it crashed ({reason}); the file may be damaged, export it again")
