"""What a process that runs for weeks needs: connections that last, memory that does not fill with holes."""

import http.client
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api.service_process import ROOT, Server

# Sixteen threads hold memory at once; the allocator then says how many arenas it has.
_THREADS_THAT_ALLOCATE = """
import ctypes, sys, threading
from api.allocator import use_few_arenas
if sys.argv[1] == "few":
    use_few_arenas()
libc, barrier = ctypes.CDLL(None), threading.Barrier(16)
libc.malloc.restype = ctypes.c_void_p
def hold():
    assert libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(16)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
libc.fopen.restype, libc.fopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_char_p)
libc.malloc_info.argtypes, libc.fclose.argtypes = (ctypes.c_int, ctypes.c_void_p), (ctypes.c_void_p,)
stream = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


def test_a_connection_that_rests_is_used_again(server: Server) -> None:
    """Longer than clients rest between requests: a request that meets a closing connection is lost."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.auto_open = 0
    connection.connect()
    for pause_s in (0, 7):
        time.sleep(pause_s)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="arenas are glibc's")
def test_threads_share_their_memory(tmp_path: Path) -> None:
    def arenas(kind: str) -> int:
        told = tmp_path / f"{kind}.xml"
        subprocess.run([sys.executable, "-c", _THREADS_THAT_ALLOCATE, kind, str(told)], cwd=ROOT, check=True)
        return told.read_text().count("<heap nr=")

    assert arenas("few") <= 2 < arenas("many")
