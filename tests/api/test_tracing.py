"""A trace goes with a job to its worker; where nobody asked for traces nothing is loaded for them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.settings import Settings
from api.tracing import NoTracing, current_traceparent, open_tracing
from tests.api.service_process import ROOT, Server, problem, upload, wait_for_end
from tests.api.trace_collector import Facts, running_collector

CLIENTS_TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENTS_SPAN = "b7ad6b7169203331"


@pytest.mark.slow
def test_one_trace_holds_the_request_its_job_and_the_stages(tmp_path: Path) -> None:
    with running_collector(tmp_path) as collector:
        server = Server(tmp_path, otlp_endpoint=collector.endpoint)
        server.start()
        try:
            with server.client() as client:
                mesh = upload(client).json()["id"]
                given = {"traceparent": f"00-{CLIENTS_TRACE}-{CLIENTS_SPAN}-01", "X-Request-ID": "traced"}
                made = client.post("/v1/predictions", json=problem(mesh, fidelity="surrogate"), headers=given)
                assert wait_for_end(client, made.headers["Location"], 400)["status"] == "done"
                client.get("/healthz")
        finally:
            # Both processes send what they have before they end.
            assert server.end() == 0
        spans = collector.spans()
    ours = [span for span in spans if span["trace"] == CLIENTS_TRACE]
    (request,) = [span for span in ours if span["name"] == "POST /v1/predictions"]
    assert request["parent"] == CLIENTS_SPAN and request["service"] == "surrogate-service"
    assert attributes(request)["http.response.status_code"] == 202
    (job,) = [span for span in ours if span["name"] == "job predict"]
    assert job["parent"] == request["id"] and job["service"] == "surrogate-worker"
    assert attributes(job)["surrogate.status"] == "done" and attributes(job)["surrogate.request_id"] == "traced"
    assert attributes(job)["surrogate.id"] == made.headers["Location"].split("/")[-1]
    stages = {str(span["name"]): span for span in ours if span["parent"] == job["id"]}
    assert {"reading the mesh", "anchor", "rollout"} <= set(stages)
    # One after the other, so that together they are no longer than the job.
    assert 0 < sum(float(str(span["seconds"])) for span in stages.values()) <= float(str(job["seconds"])) + 1e-3
    # The upload is a trace of its own, and what asks every few seconds whether all is well is none.
    (upload_request,) = [span for span in spans if span["name"] == "POST /v1/meshes"][-1:]
    assert upload_request["trace"] != CLIENTS_TRACE
    assert any(span["name"] == "job mesh" and span["service"] == "surrogate-worker" for span in spans)
    assert not any("health" in str(span["name"]) or "ready" in str(span["name"]) for span in spans)


@pytest.mark.slow
def test_a_collector_that_is_away_delays_nobody(tmp_path: Path) -> None:
    tracing = open_tracing(Settings(otlp_endpoint="http://127.0.0.1:9", data_directory=tmp_path), "service")
    started = time.monotonic()
    for _ in range(100):
        with tracing.request("GET", None):
            assert current_traceparent() is not None
    assert time.monotonic() - started < 1
    assert current_traceparent() is None
    tracing.stop()
    # The last attempt is given up soon, so that the service ends.
    assert time.monotonic() - started < 20


def test_no_endpoint_is_no_tracing_and_no_import() -> None:
    assert isinstance(open_tracing(Settings(otlp_endpoint=None), "service"), NoTracing)
    with NoTracing().job("job mesh", "garbage", {}) as span:
        span.stage("anchor")
        assert current_traceparent() is None
    asked = (
        "import sys, api.app, api.worker; from api.settings import Settings; api.app.create_app(Settings()); "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["SURROGATE_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_the_endpoint_may_have_the_name_that_everybody_uses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://collector:4318")
    assert Settings().otlp_endpoint == "http://collector:4318"


def attributes(span: Facts) -> dict[str, object]:
    found = span["attributes"]
    assert isinstance(found, dict)
    return found
