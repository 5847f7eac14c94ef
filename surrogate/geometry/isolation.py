"""Code that may crash, hang or eat the memory runs in a process of its own.

gmsh segfaults on some STEP files, VTK aborts on a forged point count, meshio raises SystemExit on an XML bomb: none of
them may take the service along. The child gets resource limits and a kill timer, and a bare environment (no secrets);
its errors come back as the `SurrogateError` they are.
"""

import contextlib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from surrogate import errors
from surrogate.errors import InfrastructureError, SurrogateError

_log = logging.getLogger(__name__)

_CHILD = Path(__file__).with_name("isolated_child.py")
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "DISPLAY")
_KEPT_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "VTK_", "PYVISTA_", "MESA_", "LIBGL_", "GALLIUM_", "EGL_")


def run_isolated(
    module: str,
    arguments: Sequence[str],
    *,
    timeout_s: float,
    memory_bytes: int,
    cpu_s: float | None = None,
    subject: str = "",
    death: type[SurrogateError] = InfrastructureError,
) -> None:
    """Run `python -m module arguments` in its own process group, and wait for it.

    The module is entered without the front door (`import surrogate` gives an empty package there), so it imports the
    rooms it needs, e.g. `from surrogate.geometry.faces import build_tet_mesh`.

    Args:
        module: a module with `if __name__ == "__main__"`.
        arguments: its `sys.argv[1:]`.
        timeout_s: the whole process group is killed after this time, s.
        memory_bytes: limit on its address space; VTK and gmsh map far more than they use.
        cpu_s: limit on its CPU time, s; twice the timer by default. On a busy machine it is the fairer limit.
        subject: what it works on, as named in error messages (a file name).
        death: error to raise when the child dies, hangs, or raises what it does not mean to.

    Raises:
        SurrogateError: what the child raised, of the same class; `death` where it did not end by itself.
        InfrastructureError: a library is missing in the child.
    """
    with tempfile.TemporaryDirectory(prefix="isolated-") as directory:
        error_file = Path(directory) / "error.json"
        limits = [str(math.ceil(2 * timeout_s if cpu_s is None else cpu_s)), str(memory_bytes)]
        command = [sys.executable, "-P", str(_CHILD), str(error_file), *limits, module, *arguments]
        with (Path(directory) / "output.txt").open("w+b") as output:
            code = _wait(command, output.fileno(), timeout_s)
            output.seek(max(0, output.seek(0, os.SEEK_END) - 4000))
            tail = output.read().decode(errors="replace").strip()
        if tail:
            _log.debug("%s %s: %s", module, subject, tail)
        if code != 0:
            raise _failure(code, error_file, module, subject, timeout_s, memory_bytes, death)


def _wait(command: list[str], output: int, timeout_s: float) -> int | None:
    """Exit code of a command, None when it was killed by the timer; nothing of its process group is left."""
    environment = {
        name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)
    }
    # Threads would share the child's limit on CPU time, and make what it computes depend on the machine.
    environment.setdefault("OMP_NUM_THREADS", "1")
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
    )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(
    code: int | None,
    error_file: Path,
    module: str,
    subject: str,
    timeout_s: float,
    memory_bytes: int,
    death: type[SurrogateError],
) -> SurrogateError:
    """The error that says why a child failed."""
    what = subject or module
    if code is None:
        return death(
            f"{what}: no result after {timeout_s:g} s, stopped; simplify the part or use a larger element size"
        )
    if error_file.exists():
        report = json.loads(error_file.read_text())
        name, message = str(report["error"]), str(report["message"])
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, SurrogateError):
            return kind(message)
        if name in ("ImportError", "ModuleNotFoundError"):
            return InfrastructureError(f"{what}: a library is missing in the child process: {message}")
        if name == "MemoryError":
            gigabytes = memory_bytes / 2**30
            return death(f"{what}: needs more than the limit of {gigabytes:.1f} GiB of memory; use a coarser mesh")
        return death(f"{what}: failed: {name}: {message}; the file may be damaged, export it again")
    if code == -signal.SIGXCPU:
        return death(f"{what}: used up its limit of CPU time; simplify the part or use a larger element size")
    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return death(f"{what}: the process that works on it crashed ({reason}); the file may be damaged, export it again")
