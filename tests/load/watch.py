"""What a service is like while others use it: its health's latency, its memory. Run as a process of its own."""

import http.client
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.processes import children, command

HEALTH_EVERY_S = 0.5
MEMORY_EVERY_S = 2.0


def watch(port: int, service: int, out: Path) -> None:
    """Writes one JSON object a line until the service is gone or this process is ended.

    Args:
        port: of the service, on loopback.
        service: process id of the HTTP process; its workers are found among its children.
        out: file to write to.
    """
    with suppress(PermissionError):
        # What is asked is how long the service takes, not how long this process waits for a processor.
        os.nice(-15)
    due = time.monotonic()
    measured = 0.0
    with out.open("w", buffering=1) as stream:
        while Path(f"/proc/{service}").exists():
            now = time.time()
            line: dict[str, object] = {"at": now, "health_s": health_s(port)}
            if now - measured >= MEMORY_EVERY_S:
                measured = now
                line["memory"] = memory(service)
            stream.write(json.dumps(line) + "\n")
            due += HEALTH_EVERY_S
            time.sleep(max(due - time.monotonic(), 0.0))


def health_s(port: int) -> float | None:
    """Seconds of one request on a new connection, None where it failed."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        return time.perf_counter() - started if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def memory(service: int) -> dict[str, int]:
    """Resident bytes of the HTTP process and of each worker."""
    found = {"http": resident(service)}
    workers = [each for each in children(service) if b"api.worker" in command(each)]
    return found | {f"worker {number}": resident(each) for number, each in enumerate(sorted(workers))}


def resident(process: int) -> int:
    """Resident memory, bytes; 0 where the process is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
