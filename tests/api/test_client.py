"""The client against the service: what it promises holds over a real socket."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from surrogate import Client, load_problem
from surrogate.client import (
    ConflictError,
    InvalidError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    Prediction,
    UnsupportedMediaError,
)
from surrogate.physics.problem_file import read_problem_file
from tests.api.service_process import PART, Server

FILE = PART.with_suffix(".toml")


@pytest.fixture(scope="module")
def service(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def asked(service: Client, mesh_id: str) -> Prediction:
    """A prediction by the model, of the sample's problem file on the coarse mesh, finished."""
    prediction = service.predict(FILE, mesh=mesh_id, name="from the client")
    prediction.wait()
    return prediction


def test_a_part_is_uploaded_once(service: Client, mesh_id: str) -> None:
    mesh = service.upload(PART, element_size_m=0.012)
    assert mesh.id == mesh_id and mesh.status == "ready"
    assert service.mesh(mesh) == service.mesh(mesh_id) and service.content(mesh) == PART.read_bytes()
    assert mesh.id in {each.id for each in service.meshes()}
    assert len(service.faces(mesh)) == mesh.faces


def test_the_fields_lie_on_the_surface(service: Client, asked: Prediction) -> None:
    surface, summary = service.surface(asked.view.mesh), asked.wait()
    worst = asked.fields()
    assert worst.history == summary.ranking[0]
    assert worst.displacement.shape == (len(worst.steps), len(surface.points), 3)
    # The untrained model is not calibrated: it claims no interval.
    assert worst.von_mises_interval is None
    one = asked.fields(summary.ranking[-1], step=2)
    assert one.history == summary.ranking[-1] and one.steps.tolist() == [2]


def test_progress_is_told_in_stages(service: Client, mesh_id: str) -> None:
    told: list[tuple[str, float]] = []
    prediction = service.predict(FILE, mesh=mesh_id, fidelity="solved")
    summary = prediction.wait(lambda stage, fraction: told.append((stage, fraction)))
    assert summary.method == "solved" and told[-1] == ("done", 1.0)
    assert prediction.view.status == "done" and "solve" in {stage for stage, _ in told}


def test_a_problem_can_be_given_in_three_ways(service: Client, mesh_id: str, asked: Prediction) -> None:
    """As a file, as its structure, and as a problem that was built here: the answers are the same."""
    spec = read_problem_file(FILE)
    peaks = []
    for problem in (spec, load_problem(FILE)):
        summary = service.predict(problem, mesh=mesh_id).wait()
        peaks.append([history.safety_factor_yield.value for history in summary.histories])
    expected = [history.safety_factor_yield.value for history in asked.wait().histories]
    np.testing.assert_allclose(peaks, [expected] * 2, rtol=1e-9)


def test_a_verification_has_the_differences(asked: Prediction, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not verified"):
        asked.verification()
    verified = asked.verify().wait()
    assert verified.reference is not None and all(history.difference for history in verified.histories)
    assert asked.verify().view.status == "done", "it is solved once"
    with pytest.raises(ConflictError, match="solved"):
        asked.verification().verify()


@pytest.mark.slow
def test_what_is_saved_can_be_opened(asked: Prediction, tmp_path: Path) -> None:
    files = asked.save(tmp_path / "out")
    pictures = [f"{field}.png" for field in ("von_mises", "displacement", "plastic_strain", "setup")]
    assert sorted(path.name for path in files) == sorted(["summary.json", "report.html", "result.vtu", *pictures])
    assert all(path.stat().st_size > 1000 for path in files)
    assert asked.series().startswith(b"PK")


def test_a_question_whose_answer_is_lost_is_asked_once(server: Server, mesh_id: str) -> None:
    class Lossy(httpx.HTTPTransport):
        """Passes every request on, and loses the first answer to each POST."""

        lost: set[str]

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.method == "POST" and request.url.path not in self.lost:
                self.lost.add(request.url.path)
                response.close()
                raise httpx.ReadError("the answer is lost")
            return response

    transport = Lossy()
    transport.lost = set()
    with Client(server.url, transport=transport) as client:
        before = {each.id for each in client.predictions(mesh=mesh_id)}
        prediction = client.predict(FILE, mesh=mesh_id)
        assert transport.lost == {"/v1/predictions"}
        assert {each.id for each in client.predictions(mesh=mesh_id)} - before == {prediction.id}
        prediction.wait(timeout_s=120)


@pytest.mark.slow
def test_a_wait_survives_that_the_service_is_killed_and_started_again(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    solving = threading.Event()
    steps = {"name": "long", "factors": {"pull": [0.02 * step for step in range(1, 60)]}}
    spec = read_problem_file(FILE)
    with Client(server.url) as client:
        mesh = client.upload(PART, element_size_m=0.012)
        long = spec.model_validate({**spec.model_dump(), "load_histories": [steps]})
        prediction = client.predict(long, mesh=mesh, fidelity="solved")

        def told(stage: str, fraction: float) -> None:
            if stage == "solve" and fraction > 0:
                solving.set()

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(prediction.wait, told, timeout_s=500)
            assert solving.wait(200)
            server.end(signal.SIGKILL)
            server.start()
            assert waiting.result().method == "solved"
        assert prediction.view.status == "done"
    server.end()


def test_the_same_key_is_the_same_question(service: Client, mesh_id: str, asked: Prediction) -> None:
    first = service.predict(FILE, mesh=mesh_id, idempotency_key=f"key of {asked.id}")
    again = service.predict(FILE, mesh=mesh_id, idempotency_key=f"key of {asked.id}")
    assert first.id == again.id
    with pytest.raises(InvalidError, match="another request"):
        service.predict(FILE, mesh=mesh_id, name="other", idempotency_key=f"key of {asked.id}")
    first.wait()


def test_lists_run_through_all_pages(
    service: Client, mesh_id: str, asked: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surrogate.client.client._PAGE", 2)
    done = [each.id for each in service.predictions(mesh=mesh_id, status="done")]
    assert len(done) == len(set(done)) > 2 and asked.id in done
    assert service.prediction(asked.id).view.summary is not None


def test_a_cancelled_prediction_has_no_answer(service: Client, mesh_id: str) -> None:
    spec = read_problem_file(FILE)
    long = {"name": "long", "factors": {"pull": [0.01 * step for step in range(1, 200)]}}
    prediction = service.predict(
        spec.model_validate({**spec.model_dump(), "load_histories": [long]}), mesh=mesh_id, fidelity="solved"
    )
    prediction.cancel()
    with pytest.raises(JobCancelledError):
        prediction.wait(timeout_s=60)
    prediction.delete()
    with pytest.raises(NotFoundError):
        prediction.refresh()


def test_what_is_wrong_is_told_in_words(service: Client, mesh_id: str, tmp_path: Path) -> None:
    (tmp_path / "drawing.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(UnsupportedMediaError, match=r"\.step"):
        service.upload(tmp_path / "drawing.pdf")
    spec = read_problem_file(FILE)
    sliding = {"faces": {"plane": {"normal": [0, 0, -1], "at": "min"}}, "fixed": "normal"}
    loose = spec.model_validate({**spec.model_dump(), "supports": [sliding]})
    with pytest.raises(JobFailedError, match="free") as raised:
        service.predict(loose, mesh=mesh_id, fidelity="solved").wait()
    assert raised.value.problem.status == 422


def test_the_catalogue_and_health(service: Client) -> None:
    assert service.health().status == "ok"
    assert "Al 7075-T6" in {material.name for material in service.materials()}
    models = service.models()
    assert service.model(models[0].name).card.startswith("#")
