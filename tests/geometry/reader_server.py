"""Production readers without a start for each file: a server inside the sandbox that forks for every one of them.

`ReaderServer.run` has the signature of `run_isolated` and runs the same modules by the same child code behind the same
walls; only the libraries are imported once.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from surrogate.errors import InfrastructureError, SurrogateError
from surrogate.geometry import isolated_child
from surrogate.geometry.bubblewrap import bubblewrap, wrapped
from surrogate.geometry.isolation import _failure, _holds_plain_files, _Limits

_SERVER = Path(__file__).with_name("reader_server_child.py").resolve()


class ReaderServer:
    """A running server; a context manager. `cpu_s` is what its readers have used, s.

    Args:
        inputs: folder that readers may read.
        scratch: folder that they may write.
        home: their home folder, where gmsh leaves a mark.
    """

    def __init__(self, inputs: Path, scratch: Path, home: Path) -> None:
        command = [sys.executable, "-P", str(_SERVER), str(Path(isolated_child.__file__).resolve()), str(home)]
        start = bubblewrap().start
        if start:
            command = wrapped(start, command, [inputs, _SERVER], [scratch, home], home)
        self.cpu_s = 0.0
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )

    def __enter__(self) -> "ReaderServer":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def run(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        reads: Sequence[Path] = (),
        writes: Sequence[Path] = (),
        timeout_s: float,
        memory_bytes: int,
        cpu_s: float | None = None,
        file_bytes: int = 2 << 30,
        subject: str = "",
        death: type[SurrogateError] = InfrastructureError,
    ) -> None:
        """As `run_isolated`."""
        limits = _Limits(timeout_s, 2 * timeout_s if cpu_s is None else cpu_s, memory_bytes, file_bytes)
        order = {
            "module": module,
            "arguments": list(arguments),
            "timeout_s": timeout_s,
            "cpu_s": math.ceil(limits.cpu_s),
            "memory_bytes": memory_bytes,
            "file_bytes": file_bytes,
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "the server has died"
        code, told, cpu_s = json.loads(answer)
        self.cpu_s += cpu_s
        if code != 0:
            raise _failure(code, told.encode(), subject or module, limits, death)
        assert all(_holds_plain_files(folder) for folder in writes)
