"""The child's side of `isolation`: limits, then the module, then what went wrong as JSON.

Run by file path, `python -P isolated_child.py ERROR_FILE CPU_S MEMORY_BYTES MODULE ARGUMENT...`. The package is entered
through a bare module, so that a reader starts in a tenth of a second instead of importing the front door with torch.
"""

import json
import resource
import runpy
import sys
import types
from pathlib import Path

_FILE_BYTES = 8 << 30


def _limit(cpu_s: int, memory_bytes: int) -> None:
    """Limits that the child cannot raise again: seconds of CPU, bytes of address space, no core file."""
    for kind, value, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        # At the soft limit comes SIGXCPU, which tells what happened; at the hard one SIGKILL.
        (resource.RLIMIT_CPU, cpu_s, 2),
        (resource.RLIMIT_AS, memory_bytes, 0),
        (resource.RLIMIT_FSIZE, _FILE_BYTES, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        unlimited = hard == resource.RLIM_INFINITY
        resource.setrlimit(
            kind, (value if unlimited else min(value, hard), value + grace if unlimited else min(value + grace, hard))
        )


def _enter_package_bare() -> None:
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
    except Exception as error:
        return type(error).__name__, str(error) or "no message"
    return None


def _main() -> None:
    error_file, cpu_s, memory_bytes, module, *arguments = sys.argv[1:]
    _limit(int(cpu_s), int(memory_bytes))
    _enter_package_bare()
    failure = _run(module, arguments)
    if failure is not None:
        name, message = failure
        Path(error_file).write_text(json.dumps({"error": name, "message": message}))
        sys.exit(1)


if __name__ == "__main__":
    _main()
