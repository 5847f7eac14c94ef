"""schemathesis against the real service: does every answer keep to what /openapi.json promises?

    python -m tests.api.contract_fuzz --cases 5000 --seed 0 [--postgres]

Its own server, an object of each kind, and then requests in all phases: examples, the limits of every parameter one by
one, random valid and invalid ones, and sequences that use what earlier answers gave.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from surrogate.model.checkpoint import save_checkpoint
from surrogate.model.jepa import GraphJepa, ModelConfig
from tests.api.postgres_server import PostgresServer
from tests.api.service_process import ROOT, Server, problem, upload, wait_for_end

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
)  # fmt: skip
# A picture takes a second, on a busy machine a minute; a request that hangs is found all the same.
REQUEST_S = 240.0
# Operations without parameters have few cases, so the others get more.
_SHARE = 1.1


@dataclass(frozen=True)
class Contract:
    """What became of a run.

    Attributes:
        cases: requests that were checked.
        operations: of the service that were asked.
        complete: whether those are all that there are, in all phases.
        accepted: requests with an answer below 400, by operation.
        failures: what broke the contract, or got no answer.
        server_errors: lines of the service's log that tell of a failure nobody foresaw.
        text: all that schemathesis printed.
        seconds: on the clock.
    """

    cases: int
    operations: int
    complete: bool
    accepted: dict[str, int]
    failures: list[str]
    server_errors: list[str]
    text: str
    seconds: float


def start_server(directory: Path, database_url: str | None) -> Server:
    """The service with an untrained model of the real kind, and limits that a test reaches."""
    save_checkpoint(directory / "untrained", GraphJepa(ModelConfig()), {"version": "0"})
    server = Server(
        directory,
        model=str(directory / "untrained"),
        max_upload_bytes="2000000",
        max_answer_bytes="60000000",
        mesh_wait_s="1",
        max_wait_s="1",
        **({} if database_url is None else {"database_url": database_url}),
    )
    server.start()
    return server


def make_objects(server: Server) -> dict[str, object]:
    """A part and a finished prediction of it, and the problem that it was asked."""
    with server.client() as client:
        mesh_id = upload(client).json()["id"]
        asked = problem(mesh_id, fidelity="surrogate", outputs=["fields", "png", "report"])
        done = wait_for_end(client, client.post("/v1/predictions", json=asked).headers["Location"])
        assert done["status"] == "done", done
        model = client.get("/v1/models").json()["models"][0]["name"]
    return {"mesh_id": mesh_id, "prediction_id": done["id"], "name": model, "problem": asked}


def run(cases: int, seed: int, directory: Path, database_url: str | None = None) -> Contract:
    """Starts a service, asks it at least so many times, and stops it.

    Args:
        cases: requests to make at least.
        seed: of the random ones.
        directory: to work in, empty.
        database_url: of an empty database; None takes SQLite in the directory.
    """
    server = start_server(directory, database_url)
    try:
        objects = directory / "objects.json"
        objects.write_text(json.dumps(make_objects(server)))
        with server.client() as client:
            paths = client.get("/openapi.json").json()["paths"]
        operations = sum(len(methods) for methods in paths.values())
        assert server.process is not None
        return _ask(server, math.ceil(_SHARE * cases / operations), operations, seed, objects, directory)
    finally:
        server.end()


def _ask(server: Server, each: int, operations: int, seed: int, objects: Path, directory: Path) -> Contract:
    started = time.monotonic()
    report = directory / "report.json"
    program = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--phases",
        "examples,coverage,fuzzing,stateful", "--checks", ",".join(CHECKS), "--max-examples", str(each), "--seed",
        str(seed), "--request-timeout", str(REQUEST_S), "--continue-on-failure", "--generation-database", "none",
        "--suppress-health-check", "all", "--report", "json", "--report-json-path", str(report), "--no-color",
        "--workers", "1", "--warnings", "off",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
        "OBJECTS": str(objects),
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(program, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    told = ended.stdout + ended.stderr
    if not report.exists():
        raise RuntimeError(f"schemathesis did not run:\n{told}")
    found = json.loads(report.read_text())
    log = (directory / "log.txt").read_text(errors="replace").splitlines()
    return Contract(
        cases=found["test_cases"]["generated"],
        operations=found["operations"]["tested"],
        complete=found["operations"]["total"] == found["operations"]["tested"] == operations and found["complete"],
        accepted=_accepted(found["valid_rates"]),
        failures=[f"{each['title']} {each.get('operations', '')}" for each in found["failures"] + found["errors"]],
        server_errors=[line for line in log if "request failed" in line or "Traceback" in line],
        text=told,
        seconds=time.monotonic() - started,
    )


def _accepted(rates: dict[str, dict[str, dict[str, int]]]) -> dict[str, int]:
    """How many requests each operation took: an operation that refuses all of them is not tested."""
    return {name: sum(phase["accepted"] for phase in phases.values()) for name, phases in rates.items()}


@contextmanager
def _postgres(wanted: bool) -> Iterator[str | None]:
    """The address of an empty database of a server that runs meanwhile, where one is wanted."""
    if not wanted:
        yield None
        return
    server = PostgresServer()
    try:
        server.start()
        yield server.new_database()
    finally:
        server.remove()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="hold the service to its OpenAPI document")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true", help="on a Postgres server of its own, which is stricter")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="contract-", ignore_cleanup_errors=True) as directory,
        _postgres(chosen.postgres) as database_url,
    ):
        contract = run(chosen.cases, chosen.seed, Path(directory), database_url)
    print(contract.text)
    print(*contract.server_errors, sep="\n")
    print(f"accepted: {contract.accepted}")
    print(*contract.failures, sep="\n")
    print(
        f"{contract.cases} cases of seed {chosen.seed} for {contract.operations} operations in "
        f"{contract.seconds:.0f} s: {len(contract.failures)} failures, {len(contract.server_errors)} in the log"
    )
    sys.exit(bool(contract.failures or contract.server_errors) or contract.cases < chosen.cases)


if __name__ == "__main__":
    main()
