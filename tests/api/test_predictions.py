"""A prediction is asked for, waited for, listed, cancelled; mistakes are told at once."""

import json
import threading
import time
import uuid

import httpx
import pytest
from httpx_sse import EventSource

from tests.api.service_process import problem, refused, upload, wait_for_end

Body = dict[str, object]


def ask(client: httpx.Client, body: Body, **headers: str) -> httpx.Response:
    return client.post("/v1/predictions", json=body, headers=headers)


def test_the_summary_answers_for_each_history(client: httpx.Client, solved: Body, mesh_id: str) -> None:
    summary = solved["summary"]
    assert summary["method"] == "solved"
    assert summary["part"]["points"] == client.get(f"/v1/meshes/{mesh_id}").json()["points"]
    (history,) = summary["histories"]
    assert summary["ranking"] == [history["name"]] == ["limit then unload"]
    assert len(history["steps"]) == 6
    assert history["steps"][3]["peak_von_mises_pa"]["value"] > history["steps"][0]["peak_von_mises_pa"]["value"] > 0
    assert client.get(f"/v1/predictions/{solved['id']}/summary").json() == summary


def test_a_preferred_wait_answers_at_once_or_in_time(client: httpx.Client, mesh_id: str) -> None:
    response = ask(client, problem(mesh_id), Prefer="respond-async, wait=60")
    assert response.status_code == 201
    assert response.headers["Preference-Applied"] == "wait=60"
    assert response.json()["status"] == "done" and response.json()["summary"]
    started = time.monotonic()
    assert ask(client, problem(mesh_id), Prefer="wait=0").status_code == 202
    # Two seconds on a busy machine; it would be ten times that if it waited for the answer.
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("faces", "told"),
    [
        ({"name": "lug"}, "lug"),
        ({"cylinder": {"radius_m": 0.1}}, "4.25"),
        ({"cylinder": {"radius_m": 0.00425}, "expect": 3}, "3"),
        ({"face_ids": [10_000]}, "10000"),
        ({"sphere": {}}, "sphere"),
    ],
)
def test_a_wrong_selector_is_told_at_once(client: httpx.Client, mesh_id: str, faces: Body, told: str) -> None:
    """The message names what was asked for, or what the part has."""
    wrong = problem(mesh_id, supports=[{"faces": faces}])
    detail = refused(ask(client, wrong), 422)
    assert told in detail and "supports[0]" in detail


def test_other_mistakes_are_told_at_once(client: httpx.Client, mesh_id: str) -> None:
    assert "Unobtainium" in refused(ask(client, problem(mesh_id, material="Unobtainium")), 422)
    assert "supports" in refused(ask(client, problem(mesh_id, supports=[])), 422)
    assert "part" in refused(ask(client, problem(mesh_id, part="bracket.step")), 422)
    assert "fidelity" in refused(ask(client, problem(mesh_id, fidelity="guess")), 422)
    assert "../models" in refused(ask(client, problem(mesh_id, fidelity="surrogate", model="../models")), 422)
    refused(ask(client, problem("no-such-mesh")), 404)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"[]", 422),
        (b'{"a":' * 100_000, 400),
        (b'{"mesh": "\xff"}', 400),
        (b'{"mesh": 1e999}', 422),
    ],
    ids=["cut", "list", "deep", "not utf-8", "infinite"],
)
def test_a_body_that_is_no_problem_is_refused(client: httpx.Client, content: bytes, status: int) -> None:
    refused(client.post("/v1/predictions", content=content, headers={"Content-Type": "application/json"}), status)


@pytest.mark.parametrize(
    ("old", "new"),
    [("25.0", "NaN"), ("25.0", "1e999"), ("25.0", '"25"'), ("lug", "\\ud800")],
    ids=["nan", "infinite", "text", "half a character"],
)
def test_values_that_json_lets_through_are_refused(client: httpx.Client, mesh_id: str, old: str, new: str) -> None:
    cases = [{"name": "pull", "loads": [{"faces": {"name": "lug"}, "force_n": [25.0, 0.0, 0.0]}]}]
    content = json.dumps(problem(mesh_id, load_cases=cases)).replace(old, new)
    refused(client.post("/v1/predictions", content=content, headers={"Content-Type": "application/json"}), 422)


def test_an_answer_that_would_not_fit_is_refused(client: httpx.Client, mesh_id: str) -> None:
    """The fixture allows 60 MB: enough for one history of six steps on this mesh, not for ten."""
    steps = {"pull": [0.25, 0.5, 0.75, 1.0, 0.5, 0.0]}
    many = [{"name": f"h{number}", "factors": steps} for number in range(10)]
    assert "10 load histories" in refused(ask(client, problem(mesh_id, load_histories=many)), 413)


@pytest.mark.parametrize(
    "suffix", ["", "/summary", "/fields", "/result.vtu", "/render.png", "/report", "/verification"]
)
def test_an_unknown_prediction_is_404(client: httpx.Client, suffix: str) -> None:
    refused(client.get(f"/v1/predictions/{uuid.uuid4().hex}{suffix}"), 404)


def test_an_idempotency_key_makes_one_prediction(client: httpx.Client, mesh_id: str) -> None:
    key = uuid.uuid4().hex
    body = problem(mesh_id, name=key)
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(ask(client, body, **{"Idempotency-Key": key}).json()["id"]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4 and len(set(ids)) == 1
    other = problem(mesh_id, name="another")
    assert key in refused(ask(client, other, **{"Idempotency-Key": key}), 422)


def test_predictions_that_arrive_together_are_batched(client: httpx.Client, mesh_id: str) -> None:
    """The model thread is asked less often than there are problems, and each problem has its own answer."""

    def batches() -> tuple[float, float]:
        lines = client.get("/metrics").text.splitlines()
        count, total = (
            next(float(line.split()[1]) for line in lines if line.startswith(f"surrogate_batch_problems_{what}"))
            for what in ("count", "sum")
        )
        return count, total

    before = batches()
    made = [ask(client, problem(mesh_id, fidelity="surrogate", name=f"b{number}")).json() for number in range(6)]
    for each in made:
        body = wait_for_end(client, f"/v1/predictions/{each['id']}")
        assert body["status"] == "done", body
        assert body["summary"]["method"] == "surrogate" and body["summary"]["part"]["name"] == each["name"]
        assert body["summary"]["model"]["name"] == "untrained"
    count, total = (after - earlier for after, earlier in zip(batches(), before, strict=True))
    assert total == 6 and count < 6


def test_a_verification_solves_once_and_tells_the_difference(client: httpx.Client, mesh_id: str) -> None:
    asked = ask(client, problem(mesh_id, fidelity="surrogate"), Prefer="wait=60")
    assert asked.status_code == 201, asked.text
    address = f"/v1/predictions/{asked.json()['id']}/verification"
    refused(client.get(address), 404)
    first = client.post(address)
    assert first.headers["Location"] == address
    done = wait_for_end(client, address)
    assert done["status"] == "done" and done["verifies"] == asked.json()["id"]
    (history,) = done["summary"]["histories"]
    assert history["difference"]["peak"]["von_mises_rel_l2"] is not None
    assert done["summary"]["reference"]["method"] == "solved"
    again = client.post(address)
    assert again.status_code == 200 and again.json()["id"] == done["id"] == first.json()["id"]


def test_the_list_pages_through_every_prediction_once(client: httpx.Client, solved: Body, mesh_id: str) -> None:
    made = {ask(client, problem(mesh_id)).json()["id"] for _ in range(3)} | {solved["id"]}
    seen: list[str] = []
    address: str | None = f"/v1/predictions?limit=2&mesh={mesh_id}"
    while address is not None:
        page = client.get(address).json()
        assert len(page["predictions"]) <= 2
        seen += [entry["id"] for entry in page["predictions"]]
        address = page["next"]
    assert len(seen) == len(set(seen)) and made <= set(seen)


def test_a_cancelled_prediction_never_finishes(client: httpx.Client, mesh_id: str) -> None:
    """The one that waits behind another is cancelled in the queue, the one that runs at its next progress."""
    long = problem(mesh_id, load_histories=[{"name": "long", "factors": {"pull": [0.01 * n for n in range(1, 200)]}}])
    running, waiting = (ask(client, long).json()["id"] for _ in range(2))
    for each in (waiting, running):
        assert client.post(f"/v1/predictions/{each}/cancel").status_code == 202
    for each in (waiting, running):
        assert wait_for_end(client, f"/v1/predictions/{each}")["status"] == "cancelled"
        refused(client.get(f"/v1/predictions/{each}/summary"), 409)


def test_a_solve_that_runs_is_cancelled_in_its_midst(client: httpx.Client, mesh_id: str) -> None:
    long = problem(mesh_id, load_histories=[{"name": "long", "factors": {"pull": [0.01 * n for n in range(1, 400)]}}])
    address = ask(client, long).headers["Location"]
    with client.stream("GET", f"{address}/events") as response:
        for event in EventSource(response).iter_sse():
            told = json.loads(event.data or "{}")
            if told.get("stage") == "solve" and told["progress"] > 0:
                break
    started = time.monotonic()
    assert client.post(f"{address}/cancel").json()["status"] == "running"
    assert wait_for_end(client, address)["status"] == "cancelled"
    # At its next step, of which there were hundreds to go: that many would take minutes on a busy machine.
    assert time.monotonic() - started < 30


def test_a_cancelled_verification_can_be_asked_for_again(client: httpx.Client, mesh_id: str) -> None:
    asked = ask(client, problem(mesh_id, fidelity="surrogate"), Prefer="wait=60")
    address = f"/v1/predictions/{asked.json()['id']}/verification"
    # Before it in the queue of what is solved, so that it does not end before it is cancelled.
    long = problem(mesh_id, load_histories=[{"name": "long", "factors": {"pull": [0.01 * n for n in range(1, 400)]}}])
    ahead = ask(client, long).headers["Location"]
    solving = client.post(address).json()
    assert client.post(f"/v1/predictions/{solving['id']}/cancel").status_code == 202
    assert wait_for_end(client, address)["status"] == "cancelled"
    assert client.post(f"{ahead}/cancel").status_code == 202
    again = client.post(address)
    assert again.status_code == 202 and again.json()["id"] == solving["id"]
    assert wait_for_end(client, address)["status"] == "done"


def test_a_finished_prediction_cannot_be_cancelled(client: httpx.Client, solved: Body) -> None:
    refused(client.post(f"/v1/predictions/{solved['id']}/cancel"), 409)


def test_a_mesh_is_kept_as_long_as_a_prediction_needs_it(client: httpx.Client) -> None:
    mesh = upload(client, element_size_m=0.0115).json()["id"]
    asked = ask(client, problem(mesh))
    assert asked.status_code == 202, asked.text
    made = wait_for_end(client, asked.headers["Location"])
    assert "predictions" in refused(client.delete(f"/v1/meshes/{mesh}"), 409)
    assert client.delete(f"/v1/predictions/{made['id']}").status_code == 204
    refused(client.get(f"/v1/predictions/{made['id']}"), 404)
    assert client.delete(f"/v1/meshes/{mesh}").status_code == 204


def test_a_problem_that_cannot_be_solved_fails_in_words(client: httpx.Client, mesh_id: str) -> None:
    """Held along one plane's normal only, the part slides away; that is found by the job."""
    sliding = problem(mesh_id, supports=[{"faces": {"plane": {"normal": [0, 0, -1], "at": "min"}}, "fixed": "normal"}])
    body = wait_for_end(client, ask(client, sliding).headers["Location"])
    assert body["status"] == "failed" and body["summary"] is None
    assert body["error"]["status"] == 422 and "free" in body["error"]["detail"]


def test_health_answers_while_a_part_is_solved(client: httpx.Client, mesh_id: str) -> None:
    """The event loop is never blocked: a second is far above a lively loop, far below a blocked one."""
    location = ask(client, problem(mesh_id)).headers["Location"]
    slowest = 0.0
    while client.get(location).json()["status"] in ("queued", "running"):
        started = time.monotonic()
        assert client.get("/healthz").json()["status"] == "ok"
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1
