"""What Prometheus is told: as the page on monitoring says, bounded in number, and kept when a worker dies."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import ServiceMetrics, WorkerMetrics, interval_widths
from surrogate import Fields, Summary
from tests.api.service_process import ROOT, Server, problem, upload, wait_for_end

PAGE = ROOT / "docs" / "monitoring.md"
FROM_DATABASE = {
    "surrogate_database_up",
    "surrogate_workers",
    "surrogate_queued_jobs",
    "surrogate_running_jobs",
    "surrogate_oldest_queued_seconds",
}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: httpx.Client) -> Samples:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Sum of the samples of a name that have these labels, and others."""
    return sum(v for (n, held), v in samples.items() if n == name and labels.items() <= dict(held).items())


def jobs(samples: Samples) -> float:
    return total(samples, "surrogate_jobs_total")


def scrape_when(client: httpx.Client, true: Callable[[Samples], bool]) -> Samples:
    """The first scrape of which something is true, or the last one after some seconds."""
    deadline = time.monotonic() + 30
    while not true(found := scrape(client)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_the_page_on_monitoring_names_every_metric_and_no_other() -> None:
    registries = (ServiceMetrics.create().registry, WorkerMetrics.create().registry)
    families = [family for registry in registries for family in registry.collect()]
    own = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if family.name.startswith("surrogate_")
    }
    tables = [line for line in PAGE.read_text().splitlines() if line.startswith("| `surrogate_")]
    assert {re.split(r"`", line)[1] for line in tables} == own | FROM_DATABASE
    alerts = PAGE.read_text().split("```yaml")[1].split("```")[0]
    used = {name.removesuffix("_bucket") for name in re.findall(r"\bsurrogate_\w+", alerts)}
    assert used <= own | FROM_DATABASE


def test_an_answer_is_counted(client: httpx.Client, mesh_id: str) -> None:
    before = scrape(client)
    made = client.post("/v1/predictions", json=problem(mesh_id, fidelity="surrogate", name="counted"))
    assert wait_for_end(client, made.headers["Location"])["status"] == "done"
    # The worker counts right after it has told the database.
    after = scrape_when(client, lambda now: jobs(now) > jobs(before))

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    assert grown("surrogate_requests_total", method="POST", route="/v1/predictions", status="202") == 1
    assert grown("surrogate_jobs_total", kind="predict", status="done") >= 1
    assert grown("surrogate_answers_total", fidelity="surrogate", method="surrogate") >= 1
    assert grown("surrogate_batch_points_sum") > 100
    for stage in ("read", "anchor", "rollout", "equilibrium", "write", "total"):
        assert grown("surrogate_stage_seconds_count", stage=stage) >= 1, stage
    # Each stage that the library times has a name of its own here.
    assert total(after, "surrogate_stage_seconds_count", stage="other") == 0
    assert total(after, "surrogate_workers") == 1 and total(after, "surrogate_database_up") == 1
    assert total(after, "surrogate_worker_memory_bytes", pid="0") > 1e8
    assert total(after, "surrogate_loop_delay_seconds_count") > 0


def test_strangers_make_no_time_series(client: httpx.Client, mesh_id: str) -> None:
    """Prometheus keeps every combination of labels for weeks: what a client writes must not make new ones."""
    before = len(scrape(client))
    for number in range(5):
        client.get(f"/v1/meshes/{number}")
        client.get(f"/nowhere/{number}")
        client.request(f"ODD{number}", "/v1/meshes")
        client.post("/v1/predictions", json=problem(mesh_id, material=f"stuff {number}"))
    between = len(scrape(client))
    for number in range(5, 15):
        client.get(f"/v1/meshes/{number}")
        client.get(f"/nowhere/{number}")
        client.request(f"ODD{number}", "/v1/meshes")
        client.post("/v1/predictions", json=problem(mesh_id, material=f"stuff {number}"))
    assert len(scrape(client)) == between > before


def test_the_width_of_an_interval_is_relative_to_its_value(solved: dict[str, object]) -> None:
    summary = Summary.model_validate(solved["summary"])
    assert interval_widths(summary) == {}, "a solved answer has no interval"
    text = summary.model_dump()
    (history,) = text["histories"]
    history["permanent_set_m"] = {"value": 2e-4, "low": 1e-4, "high": 4e-4}
    history["steps"][history["peak_step"]]["peak_von_mises_pa"] = {"value": 200e6, "low": 190e6, "high": 210e6}
    predicted = Summary.model_validate({**text, "domain": {"score": 2.0, "inside": False, "reason": "larger"}})
    assert interval_widths(predicted) == pytest.approx({"permanent_set": 1.5, "von_mises": 0.1})

    metrics = WorkerMetrics.create()
    fields = cast(Fields, SimpleNamespace(timings_s={"solve": 2.0, "a stage of a later release": 1.0}))
    metrics.note_answer("auto", fields, predicted)
    told = metrics.registry.get_sample_value
    assert told("surrogate_answers_total", {"fidelity": "auto", "method": "solved"}) == 1
    assert told("surrogate_domain_total", {"verdict": "outside"}) == 1
    assert told("surrogate_interval_width_sum", {"quantity": "von_mises"}) == pytest.approx(0.1)
    assert told("surrogate_stage_seconds_sum", {"stage": "solve"}) == 2
    assert told("surrogate_stage_seconds_sum", {"stage": "other"}) == 1


@pytest.mark.slow
def test_a_dead_worker_takes_no_counts_with_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        with server.client() as client:
            mesh = upload(client).json()["id"]
            before = scrape_when(client, lambda now: jobs(now) >= 1)
            assert total(before, "surrogate_jobs_total", kind="mesh", status="ready") == 1
            server.kill_workers()
            made = client.post("/v1/predictions", json=problem(mesh, fidelity="solved")).headers["Location"]
            assert wait_for_end(client, made, 180)["status"] == "done"
            after = scrape_when(client, lambda now: jobs(now) >= 2)
    finally:
        server.end()
    assert total(after, "surrogate_jobs_total", kind="mesh", status="ready") == 1
    assert total(after, "surrogate_worker_restarts_total") == 1
    # One file of each kind, however often it died.
    assert len(list((tmp_path / "data" / "metrics").iterdir())) == 3
    log = (tmp_path / "log.txt").read_text()
    assert '"a worker died and is started again"' in log and "killed by SIGKILL" in log
    assert log.count('"worker started"') == 2
