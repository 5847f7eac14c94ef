"""Who listens hears every change once, in order, and how it ends; a thousand listeners cost one query."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from httpx_sse import EventSource
from sqlalchemy import event

from api.changes import MOST_OF_ONE_OWNER, Changes, seen_revision
from api.database import open_database
from api.errors import TooManyError
from api.records import Records
from api.schemas import STAGES, ProgressView
from api.tables import MeshRow, PredictionRow
from tests.api.service_process import Server, problem, refused

Body = dict[str, object]


def heard(client: httpx.Client, address: str, **headers: str) -> list[tuple[str, str, ProgressView]]:
    """Kind, id and data of all events of a stream, up to its end."""
    with client.stream("GET", f"{address}/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        # Nothing between may keep the events back.
        assert response.headers["X-Accel-Buffering"] == "no" and "no-store" in response.headers["Cache-Control"]
        events = [each for each in EventSource(response).iter_sse() if each.data]
    return [(each.event, each.id, ProgressView.model_validate(json.loads(each.data))) for each in events]


def test_a_prediction_is_heard_from_the_queue_to_its_end(client: httpx.Client, mesh_id: str) -> None:
    address = client.post("/v1/predictions", json=problem(mesh_id)).headers["Location"]
    events = heard(client, address)
    ids = [int(name) for _, name, _ in events]
    assert ids == sorted(set(ids)) and ids == [data.revision for _, _, data in events]
    assert [kind for kind, _, _ in events] == ["progress"] * (len(events) - 1) + ["end"]
    assert events[-1][2].status == "done" and events[-1][2].progress == 1
    assert {data.stage for _, _, data in events if data.stage} <= set(STAGES)
    assert client.get(address).json()["revision"] == ids[-1]


def test_who_comes_back_hears_only_what_is_new(client: httpx.Client, solved: Body) -> None:
    address, last = f"/v1/predictions/{solved['id']}", str(solved["revision"])
    for known in ("", "0", "-1", "1.5", "two", "9" * 15, "9" * 40):
        ((kind, name, data),) = heard(client, address, **{"Last-Event-ID": known})
        assert (kind, name, data.status) == ("end", last, "done")
    # A browser comes back by itself until it is told not to.
    assert client.get(f"{address}/events", headers={"Last-Event-ID": last}).status_code == 204


def test_a_part_is_heard_too(client: httpx.Client, mesh_id: str) -> None:
    ((kind, _, data),) = heard(client, f"/v1/meshes/{mesh_id}")
    assert (kind, data.status, data.progress) == ("end", "ready", 1)
    refused(client.get("/v1/meshes/nothing/events"), 404)


def test_a_cancelled_prediction_says_so(client: httpx.Client, mesh_id: str) -> None:
    long = problem(mesh_id, load_histories=[{"name": "long", "factors": {"pull": [0.01 * n for n in range(1, 200)]}}])
    address = client.post("/v1/predictions", json=long).headers["Location"]
    listener = threading.Thread(target=lambda: events.extend(heard(client, address)))
    events: list[tuple[str, str, ProgressView]] = []
    listener.start()
    assert client.post(f"{address}/cancel").status_code == 202
    listener.join(60)
    assert events[-1][0] == "end" and events[-1][2].status == "cancelled"


def test_listeners_hold_no_threads(server: Server, client: httpx.Client, mesh_id: str) -> None:
    """There are 40 threads for requests; with 60 listeners, others are answered as if there were none."""
    long = problem(mesh_id, load_histories=[{"name": "long", "factors": {"pull": [0.01 * n for n in range(1, 400)]}}])
    address = client.post("/v1/predictions", json=long).headers["Location"]

    async def listen(asking: httpx.AsyncClient, ready: asyncio.Semaphore) -> str:
        async with asking.stream("GET", f"{address}/events") as response:
            async for sse in EventSource(response).aiter_sse():
                if sse.event == "progress":
                    ready.release()
                if sse.event == "end":
                    return str(json.loads(sse.data)["status"])
        return "cut"

    async def run() -> list[str]:
        ready = asyncio.Semaphore(0)
        async with httpx.AsyncClient(
            base_url=server.url, timeout=60, limits=httpx.Limits(max_connections=80)
        ) as asking:
            listeners = [asyncio.create_task(listen(asking, ready)) for _ in range(60)]
            for _ in range(60):
                await asyncio.wait_for(ready.acquire(), 60)
            answers = await asyncio.wait_for(
                asyncio.gather(*(asking.get(f"/v1/meshes/{mesh_id}") for _ in range(10))), 20
            )
            assert all(answer.status_code == 200 for answer in answers)
            await asking.post(f"{address}/cancel")
            return await asyncio.gather(*listeners)

    assert set(asyncio.run(run())) == {"cancelled"}


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(open_database(f"sqlite:///{tmp_path / 'service.sqlite'}"))


def test_a_revision_that_cannot_have_been_seen_counts_for_none() -> None:
    held = PredictionRow(id="p", revision=3)
    assert [seen_revision(text, held) for text in ("0", "3", "4", "-1", "x", "", "\u00b2", None)] == [0, 3] + 6 * [-1]


def row(records: Records, name: str = "p") -> PredictionRow:
    records.add(PredictionRow(id=name, mesh_id="m", name="n", request="{}", fidelity="solved"))
    return records.prediction(name)


async def next_event(stream: AsyncIterator[bytes]) -> str:
    return (await asyncio.wait_for(anext(stream), 10)).decode()


def test_the_first_line_says_when_to_come_back(records: Records) -> None:
    async def run() -> None:
        stream = Changes(records).events(row(records), "local", -1)
        assert await next_event(stream) == "retry: 2000\n\n"
        assert "event: progress" in await next_event(stream)
        await stream.aclose()

    asyncio.run(run())


def test_changes_are_heard_from_the_seen_one_on(records: Records) -> None:
    async def run() -> None:
        held = row(records)
        stream = Changes(records).events(held, "local", seen_revision(str(held.revision), held))
        await next_event(stream)
        waiting = asyncio.create_task(next_event(stream))
        await asyncio.sleep(0.5)
        assert not waiting.done(), "the state that was seen is not told again"
        records.begin(held, "worker")
        assert '"status":"running"' in await waiting
        records.report(held, "anchor", 0.5)
        text = await next_event(stream)
        assert '"stage":"anchor"' in text and f"id: {held.revision + 2}" in text
        records.finish(held, "done")
        assert "event: end" in await next_event(stream)
        with pytest.raises(StopAsyncIteration):
            await next_event(stream)

    asyncio.run(run())


def test_silence_is_broken_by_a_comment(records: Records) -> None:
    async def run() -> None:
        held = row(records)
        stream = Changes(records, heartbeat_s=0.05).events(held, "local", held.revision)
        await next_event(stream)
        # A comment is no event.
        assert (await next_event(stream)).startswith(":") and (await next_event(stream)).startswith(":")
        await stream.aclose()

    asyncio.run(run())


def test_many_listeners_cost_one_query_a_look(records: Records) -> None:
    statements: list[str] = []
    rows = [row(records, f"p{number}") for number in range(50)]
    records.add(MeshRow(id="m", name="part.step", suffix=".step"))
    event.listen(records.sessions.kw["bind"], "before_cursor_execute", lambda *a: statements.append(a[2]))

    async def run() -> None:
        changes = Changes(records)
        streams = [
            changes.events(each, f"owner {number}", -1) for number, each in enumerate([*rows, records.mesh("m")])
        ]
        for stream in streams:
            await next_event(stream)
            assert "progress" in await next_event(stream)
        statements.clear()
        waiting = [asyncio.create_task(next_event(stream)) for stream in streams]
        await asyncio.sleep(1)
        # Four looks a second, each a beginning and a query of two tables; a query of each listener were 200.
        assert 2 <= len(statements) <= 20
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()
        statements.clear()
        await asyncio.sleep(0.6)
        # One look may have been under way; were there more, they had come two or three times.
        assert len(statements) <= 4, statements

    asyncio.run(run())


def test_one_owner_may_not_take_all_places(records: Records) -> None:
    async def run() -> None:
        changes, held = Changes(records), row(records)
        streams = [changes.events(held, "greedy", -1) for _ in range(MOST_OF_ONE_OWNER)]
        for stream in streams:
            changes.check_room("greedy")
            await next_event(stream)
            await next_event(stream)
        with pytest.raises(TooManyError, match="poll"):
            changes.check_room("greedy")
        changes.check_room("modest")
        for stream in streams:
            await stream.aclose()
        changes.check_room("greedy")

    asyncio.run(run())


def test_a_service_that_ends_ends_its_streams(records: Records) -> None:
    """At once, and without an `end`: the job goes on, and the listener comes back."""

    async def run() -> None:
        held, changes = row(records), Changes(records)
        stream = changes.events(held, "local", held.revision)
        await next_event(stream)
        waiting = asyncio.create_task(next_event(stream))
        await asyncio.sleep(0.1)
        changes.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(run())


def test_a_deleted_row_ends_its_streams(records: Records) -> None:
    async def run() -> None:
        held = row(records)
        stream = Changes(records).events(held, "local", held.revision)
        await next_event(stream)
        with records.sessions.begin() as session:
            session.delete(session.get(PredictionRow, held.id))
        with pytest.raises(StopAsyncIteration):
            await next_event(stream)

    asyncio.run(run())


def test_a_database_that_is_away_for_a_while_ends_no_stream(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        held, changes = row(records), Changes(records, heartbeat_s=0.2)
        stream = changes.events(held, "local", held.revision)
        await next_event(stream)
        with monkeypatch.context() as patched:
            patched.setattr(records, "sessions", None)
            for _ in range(3):
                assert (await next_event(stream)).startswith(":")
        records.begin(held, "worker")
        while (text := await next_event(stream)).startswith(":"):
            pass
        assert '"status":"running"' in text
        await stream.aclose()

    asyncio.run(run())
