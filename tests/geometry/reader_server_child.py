"""The server of `reader_server`: python -P reader_server_child.py ISOLATED_CHILD HOME.

Orders come and answers go as lines of JSON.
"""

import importlib.util
import json
import os
import select
import signal
import sys
import types
from pathlib import Path

# What the readers import: held by the server before it forks.
_LIBRARIES = (
    "gmsh", "mmgpy", "scipy.spatial", "surrogate.geometry.vtk_reader", "surrogate.geometry.surface_mesher",
    "surrogate.geometry.step_mesher", "surrogate.geometry.mesh_files", "surrogate.geometry.msh_reader",
    "surrogate.geometry.inp_reader", "surrogate.geometry.bdf_reader", "surrogate.geometry.unpacking",
)  # fmt: skip


def _load(path: str) -> types.ModuleType:
    """The production child, which is run by its path too."""
    specification = importlib.util.spec_from_file_location("isolated_child", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _wait(pid: int, timeout_s: float) -> tuple[int | None, float]:
    """Exit code of a child as `subprocess` gives it, None where it had to be stopped; and its CPU time, s."""
    place = os.pidfd_open(pid)
    ended = bool(select.select([place], [], [], timeout_s)[0])
    os.close(place)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status) if ended else None, used.ru_utime + used.ru_stime


def _main() -> None:
    child, report = _load(sys.argv[1]), Path(sys.argv[2]) / "report"
    child.enter_package_bare()
    for name in _LIBRARIES:
        importlib.import_module(name)
    from surrogate.geometry.confinement import forbid_sockets

    forbid_sockets()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        orders = json.loads(line)
        report.touch()
        pid = os.fork()
        if pid == 0:
            orders["report"] = os.open(report, os.O_WRONLY)
            os._exit(child.carry_out(orders, orders["module"], orders["arguments"]))
        code, cpu_s = _wait(pid, orders["timeout_s"])
        told = report.read_text()
        report.unlink()
        answers.write(json.dumps([code, told, cpu_s]) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main()
