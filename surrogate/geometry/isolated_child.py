"""The child's side of `isolation`: limits and walls, then the module, then what went wrong as JSON.

Run by file path, `python -P isolated_child.py ORDERS MODULE ARGUMENT...`. The package is entered through a bare module,
so that a reader starts in a tenth of a second instead of importing the front door with torch.
"""

import json
import os
import resource
import runpy
import sys
import types
from pathlib import Path
from typing import TypedDict

_MOST_OPEN_FILES = 256
_LONGEST_MESSAGE = 2000


class Orders(TypedDict):
    """What the parent demands, as JSON.

    Attributes:
        report: file descriptor to which a failure is written.
        cpu_s: limit on CPU time, s.
        memory_bytes: limit on address space.
        file_bytes: limit on the size of each file written.
        confined: whether it works on files of strangers: no sockets, and no life after the parent's.
        landlock: whether files are walled off here, because nothing outside does it.
        reads: files and folders that it may read, for Landlock.
        writes: folders that it may write, for Landlock.
    """

    report: int
    cpu_s: int
    memory_bytes: int
    file_bytes: int
    confined: bool
    landlock: bool
    reads: list[str]
    writes: list[str]


def _limit(orders: Orders) -> None:
    """Limits that the child cannot raise again."""
    for kind, value, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        # At the soft limit comes SIGXCPU, which tells what happened; at the hard one SIGKILL.
        (resource.RLIMIT_CPU, orders["cpu_s"], 2),
        (resource.RLIMIT_AS, orders["memory_bytes"], 0),
        (resource.RLIMIT_FSIZE, orders["file_bytes"], 0),
        (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        unlimited = hard == resource.RLIM_INFINITY
        resource.setrlimit(
            kind, (value if unlimited else min(value, hard), value + grace if unlimited else min(value + grace, hard))
        )


def _confine(orders: Orders) -> None:
    """Raise the walls that need no help from outside."""
    from surrogate.geometry.confinement import die_with_parent, forbid_sockets, restrict_files

    die_with_parent()
    if orders["landlock"]:
        restrict_files(orders["reads"], orders["writes"])
    forbid_sockets()


def enter_package_bare() -> None:
    """Register `surrogate` without running its `__init__`."""
    package = types.ModuleType("surrogate")
    package.__path__ = [str(Path(__file__).resolve().parent.parent)]
    sys.modules["surrogate"] = package


def _run(module: str, arguments: list[str]) -> tuple[str, str] | None:
    """Run a module as a program; class name and message of what it raised, or None."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as exit_:
        if exit_.code in (None, 0):
            return None
        return "SystemExit", f"it gave up ({exit_.code})"
    except MemoryError:
        return "MemoryError", "it ran out of its memory limit"
    except RecursionError:
        return "RecursionError", "it is nested too deeply"
    except Exception as error:
        return type(error).__name__, str(error) or "no message"
    return None


def carry_out(orders: Orders, module: str, arguments: list[str]) -> int:
    """Run a module within the limits and report its failure; the exit code."""
    _limit(orders)
    failure = _run(module, arguments)
    if failure is None:
        return 0
    name, message = failure
    # A message may quote the file, so it may be as long as that.
    shortened = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} …"
    os.write(orders["report"], json.dumps({"error": name, "message": shortened}).encode())
    return 1


def _main() -> None:
    orders: Orders = json.loads(sys.argv[1])
    module, *arguments = sys.argv[2:]
    enter_package_bare()
    if orders["confined"]:
        _confine(orders)
    sys.exit(carry_out(orders, module, arguments))


if __name__ == "__main__":
    _main()
