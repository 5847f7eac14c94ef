"""The command line of bubblewrap: a child sees the Python installation, its own input and output, and nothing else."""

import logging
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).resolve().parent.parent
_PROBE_SECONDS = 30.0
_ALWAYS = (
    "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--die-with-parent", "--new-session",
    "--cap-drop", "ALL",
)  # fmt: skip
# Strictest first; the second is for bubblewrap before 0.8, and for root where user name spaces are switched off.
_NAMESPACES = (("--unshare-user", "--disable-userns"), ("--unshare-user-try",))
_SYSTEM_FOLDERS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
# What the loader reads; Debian's numerical libraries are reached through its links.
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@dataclass(frozen=True)
class Bubblewrap:
    """Whether bubblewrap works here.

    Attributes:
        start: the beginning of its command line; empty where it does not work.
        reason: why it does not work.
    """

    start: tuple[str, ...]
    reason: str


@cache
def bubblewrap() -> Bubblewrap:
    """Try bubblewrap once in the life of this process."""
    program = shutil.which("bwrap")
    if program is None:
        return Bubblewrap((), "bubblewrap is not installed")
    reason = ""
    for namespaces in _NAMESPACES:
        start = (program, *namespaces)
        try:
            command = wrapped(start, [sys.executable, "-I", "-S", "-c", "pass"], (), (), Path("/"))
            tried = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
            continue
        if tried.returncode == 0:
            return Bubblewrap(start, "")
        reason = tried.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1] or f"exit code {tried.returncode}"
    return Bubblewrap((), f"bubblewrap is refused: {reason}")


def wrapped(
    start: Sequence[str], command: Sequence[str], reads: Sequence[Path], writes: Sequence[Path], directory: Path
) -> list[str]:
    """A command inside bubblewrap.

    Args:
        start: of `Bubblewrap`.
        command: to run; its program belongs to the Python installation.
        reads: files and folders that it may read, absolute.
        writes: folders that it may write, absolute.
        directory: to start in.
    """
    bound = [*start, *_ALWAYS, "--ro-bind", "/usr", "/usr"]
    for folder in map(Path, _SYSTEM_FOLDERS):
        if folder.is_symlink():
            bound += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir():
            bound += ["--ro-bind", str(folder), str(folder)]
    for path in (*_SYSTEM_FILES, *(item for item in installation() if not item.startswith("/usr/")), *map(str, reads)):
        bound += ["--ro-bind-try", path, path]
    for path in DEVICES:
        bound += ["--dev-bind", path, path]
    for path in map(str, writes):
        bound += ["--bind", path, path]
    # What is not bound is an empty file system, which is closed once everything hangs in it.
    return [*bound, "--remount-ro", "/", "--chdir", str(directory), "--", *command]


def system_paths() -> list[str]:
    """What every program on this machine reads: libraries, devices without an owner."""
    return ["/usr", *_SYSTEM_FOLDERS, *_SYSTEM_FILES, *DEVICES]


def installation() -> list[str]:
    """Where Python, its packages and this one lie; of this one nothing but the package itself."""
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        places.append(site.getusersitepackages())
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH"):
        places += [place for place in os.environ.get(name, "").split(os.pathsep) if place]
    # The folder around the package may hold anything, of a source tree also the service's data.
    absolute = [os.path.abspath(place) for place in places if os.path.abspath(place) != str(_PACKAGE.parent)]
    outer = sorted({place for place in absolute if place not in ("/", "/usr") and os.path.isdir(place)})
    kept = [place for place in outer if not any(place.startswith(f"{other}/") for other in outer)]
    return [*kept, str(_PACKAGE)]
