"""A job is followed to its end, whatever happens to the stream of its events."""

import json
from collections.abc import Iterator

import httpx
import pytest

from surrogate.client import NotFoundError, UnexpectedAnswerError, UnreachableError, WaitTimeoutError, connection
from surrogate.client import watching as room
from surrogate.client.watching import follow
from surrogate.client.wire import ProgressView
from tests.client.scripted import Script, found, problem

PATH = "/v1/predictions/p"


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for each in (room, connection):
        monkeypatch.setattr(each, "time", made)
    return made


def event(kind: str, revision: int, status: str = "running", stage: str | None = "solve") -> str:
    data = {"status": status, "stage": stage, "progress": 0.5, "revision": revision}
    return f"event: {kind}\ndata: {json.dumps(data)}\nid: {revision}\n\n"


def stream(*pieces: str, cut: bool = False) -> httpx.Response:
    """A stream of events; one that is cut ends with a broken connection."""

    def content() -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        for piece in pieces:
            yield piece.encode()
        if cut:
            raise httpx.ReadError("connection reset")

    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=content())


def seen(script: Script, *, timeout_s: float | None = None) -> list[ProgressView]:
    return list(follow(script.connection(), PATH, timeout_s=timeout_s))


def asked(script: Script) -> list[tuple[str, str | None]]:
    return [(each.url.path, each.headers.get("Last-Event-ID")) for each in script.asked]


def test_a_stream_is_followed_to_its_end() -> None:
    script = Script(lambda _: stream(event("progress", 1), ": still here\n\n", event("end", 2, "done", None)))
    assert [each.revision for each in seen(script)] == [1, 2]
    assert script.asked[0].headers["Accept"] == "text/event-stream"


def test_a_broken_stream_is_taken_up_where_it_broke(clock: Clock) -> None:
    script = Script(
        lambda _: stream(event("progress", 1), event("progress", 2), cut=True),
        httpx.ConnectError("refused"),
        lambda _: stream(event("progress", 3), event("end", 4, "done")),
    )
    assert [each.revision for each in seen(script)] == [1, 2, 3, 4]
    assert asked(script) == [(f"{PATH}/events", known) for known in (None, "2", "2")]
    assert clock.now > 0, "it is not asked again without a pause"


def test_a_stream_that_is_ended_early_is_taken_up_too() -> None:
    """As a service does that shuts down."""
    script = Script(lambda _: stream(event("progress", 1)), lambda _: stream(event("end", 2, "failed")))
    assert [each.status for each in seen(script)] == ["running", "failed"]


@pytest.mark.parametrize(
    "refusal", [problem(404), problem(429), problem(503), httpx.Response(200, html="<p>proxy</p>"), httpx.Response(204)]
)
def test_where_no_events_come_through_it_asks(refusal: httpx.Response) -> None:
    script = Script(refusal, found(status="running"), found(status="running"), found(status="done", revision=3))
    assert [each.status for each in seen(script)] == ["running", "done"]
    assert [path for path, _ in asked(script)] == [f"{PATH}/events", PATH, PATH, PATH]
    assert script.asked[1].headers["Prefer"] == "wait=2"


def test_a_stream_that_breaks_again_and_again_is_given_up() -> None:
    script = Script(*[httpx.ReadTimeout("silent")] * 3, found(status="done"))
    assert [each.status for each in seen(script)] == ["done"]


def test_a_service_that_is_started_again_is_waited_for(clock: Clock) -> None:
    """Away for about a minute; its jobs outlive it."""
    script = Script(
        lambda _: stream(event("progress", 1), cut=True),
        *[httpx.ConnectError("refused")] * 140,
        found(status="running", revision=2),
        found(status="done", revision=3),
    )
    assert [each.status for each in seen(script)] == ["running", "running", "done"]
    assert 40 < clock.now < 120


def test_a_service_that_does_not_come_back_is_given_up(clock: Clock) -> None:
    with pytest.raises(UnreachableError):
        seen(Script(httpx.ConnectError("refused")))
    assert 120 < clock.now < 150


def test_a_wait_ends_in_time(clock: Clock) -> None:
    script = Script(found(status="running"))
    with pytest.raises(WaitTimeoutError, match="goes on"):
        seen(script, timeout_s=3)
    # Asked at least every fifth of a second, though the service does not honour the preference.
    assert clock.now == pytest.approx(3) and len(script.asked) <= 20


def test_a_wait_ends_in_time_though_the_stream_lives(clock: Clock) -> None:
    """The events go on, and so does the clock."""

    def endless(_: httpx.Request) -> httpx.Response:
        def content() -> Iterator[bytes]:
            for revision in range(1, 1000):
                clock.sleep(5)
                yield event("progress", revision).encode()

        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=content())

    script = Script(endless, found(status="running"))
    with pytest.raises(WaitTimeoutError):
        seen(script, timeout_s=60)
    assert clock.now == pytest.approx(60)


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(NotFoundError):
        seen(Script(problem(404)))


def test_an_event_of_another_kind_is_told_apart() -> None:
    with pytest.raises(UnexpectedAnswerError, match="nonsense"):
        seen(Script(lambda _: stream("event: progress\ndata: nonsense\nid: 1\n\n")))
