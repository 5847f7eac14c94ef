"""A real Postgres server of the tests, on a free port in a folder of its own: stopped, frozen and started again."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

# Where Debian and Ubuntu keep what `postgresql` installs.
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
START_S = 120
# Of <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1

INSTALLED = bool(_PROGRAMS)


class PostgresServer:
    """One cluster; every test makes a database of its own in it."""

    def __init__(self) -> None:
        # Not pytest's folder: another user must be able to enter it. The server refuses to run as root.
        self.directory = Path(tempfile.mkdtemp(prefix="surrogate-postgres-"))
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        made = self._start("initdb", "--pgdata=cluster", "--username=tests", "--auth=trust", "--no-sync")
        assert made.wait() == 0, self.log()

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            # A crash of this machine is not what is tested.
            "fsync": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = self._start("postgres", "-D", "cluster", *options)
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url("postgres", "postgresql"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline and self._process.poll() is None, self.log()
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends it, by default at once and for all that are connected."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """All of its processes go on accepting and say nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Ends a freeze."""
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        """Stops it and deletes its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str, driver: str = "postgresql+psycopg") -> str:
        return f"{driver}://tests@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        self._databases += 1
        name = f"surrogate_{self._databases}"
        with psycopg.connect(self.url("postgres", "postgresql"), autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
        return self.url(name)

    def log(self) -> str:
        return (self.directory / "log.txt").read_text()[-4000:]

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        user = None if self._user is None else self._user.pw_uid
        group = None if self._user is None else self._user.pw_gid
        with (self.directory / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [_PROGRAMS[-1] / program, *arguments],
                cwd=self.directory,
                stdout=log,
                stderr=log,
                user=user,
                group=group,
                extra_groups=None if self._user is None else [],
                # Nobody needs it when the tests were killed.
                preexec_fn=_end_with_parent,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for process in (self._process.pid, *map(int, children)):
            os.kill(process, number)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("Postgres does not run as root, and there is no user postgres or nobody")
