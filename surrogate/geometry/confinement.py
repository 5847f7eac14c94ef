"""Walls that a process builds around itself, for good: Landlock for files, a system call filter for sockets.

Both need no privilege and work where a container forbids name spaces. Linux only; elsewhere, and on older kernels, each
says that it is not there. Imports little: every isolated child starts with it.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

# Landlock, https://docs.kernel.org/userspace-api/landlock.html; the numbers are the same on all machines.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _TRUNCATE = (1 << bit for bit in (4, 5, 7, 8, 14))
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READING = _EXECUTE | _READ_FILE | _READ_DIR
# Neither links nor devices nor pipes: what is read there later is a plain file.
_WRITING = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
# Rights over files that each version knows: all up to a bit. Binding and connecting TCP came with version 4, keeping
# signals and abstract sockets inside with 6.
_KNOWN_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_NEWEST_RIGHTS = (1 << 16) - 1
_BOTH_TCP_RIGHTS = _BOTH_SCOPES = 3

_NO_NEW_PRIVILEGES, _DEATH_SIGNAL, _SECCOMP, _FILTER_MODE = 38, 1, 22, 2
# struct seccomp_data: number of the call at 0, machine at 4 (include/uapi/linux/seccomp.h, linux/audit.h).
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EACCES
# Machine and its numbers of the calls that reach out of the process: socket, socketpair, ptrace, process_vm_readv,
# process_vm_writev, keyctl, bpf, perf_event_open, userfaultfd; io_uring_setup, which opens sockets too, everywhere 425.
_MACHINES = {
    "x86_64": (0xC000003E, (41, 53, 101, 310, 311, 250, 321, 298, 323, 425)),
    "aarch64": (0xC00000B7, (198, 199, 117, 270, 271, 219, 280, 241, 282, 425)),
}
# Calls of the x32 way of calling start here; no library uses it.
_X32_BIT = 0x40000000


def landlock_version() -> int:
    """Version of Landlock that the kernel offers; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(_system_call(_CREATE_RULESET, None, 0, _ASK_VERSION), 0)


def restrict_files(reads: Sequence[str], writes: Sequence[str]) -> None:
    """Take from this process, and from all that it starts, the way to other files and to TCP.

    Args:
        reads: files and folders that it may read and execute; missing ones are left out.
        writes: folders in which it may make, change and remove plain files and folders.

    Raises:
        OSError: the kernel refuses.
    """
    version = landlock_version()
    known = _KNOWN_RIGHTS.get(version, _NEWEST_RIGHTS)
    attributes = struct.pack(
        "=QQQ", known, _BOTH_TCP_RIGHTS if version >= 4 else 0, _BOTH_SCOPES if version >= 6 else 0
    )
    # Older kernels take the first fields only.
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(_system_call(_CREATE_RULESET, attributes, size, 0), "landlock_create_ruleset")
    for paths, rights in ((reads, _READING), (writes, _WRITING)):
        for path in filter(os.path.exists, paths):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            held = rights & known & (~0 if Path(path).is_dir() else _ON_FILES)
            rule = struct.pack("=Qi", held, place)
            _checked(_system_call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), "landlock_add_rule")
            os.close(place)
    _forbid_new_privileges()
    _checked(_system_call(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def forbid_sockets() -> None:
    """Refuse sockets of every kind, and calls that reach into other processes or far into the kernel.

    Nothing happens on machines whose call numbers are not listed here.

    Raises:
        OSError: the kernel refuses.
    """
    machine, numbers = _MACHINES.get(os.uname().machine, (0, ()))
    if not numbers:
        return
    steps = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    # Jumps are counted from the next step; the last two steps are "refuse" and "allow".
    left = len(numbers) + 1
    steps.append((_JUMP_AT_LEAST, left, 0, _X32_BIT))
    steps += [(_JUMP_EQUAL, left - 1 - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    _forbid_new_privileges()
    _checked(_libc().prctl(_SECCOMP, _FILTER_MODE, program, 0, 0), "prctl(PR_SET_SECCOMP)")


def die_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    _libc().prctl(_DEATH_SIGNAL, ctypes.c_ulong(9), 0, 0, 0)


def _forbid_new_privileges() -> None:
    """Set-user-id programs gain nothing from here on; both walls demand it."""
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    _checked(_libc().prctl(_NO_NEW_PRIVILEGES, one, none, none, none), "prctl(PR_SET_NO_NEW_PRIVS)")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _system_call(number: int, *arguments: int | bytes | None) -> int:
    """What a system call returns."""
    longs = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = ctypes.c_long(_libc().syscall(ctypes.c_long(number), *longs)).value
    return int(result)


def _checked(result: int, call: str) -> int:
    """The result of a call.

    Raises:
        OSError: it is negative.
    """
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
    return result
