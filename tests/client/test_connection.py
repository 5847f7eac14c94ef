"""A request is repeated while that may help, never when it cannot, and what the service says arrives as an error."""

from email.utils import formatdate

import httpx
import pytest

from surrogate import SurrogateError
from surrogate.client import (
    ClientError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from surrogate.client import connection as room
from surrogate.client.connection import Body
from surrogate.client.errors import _KINDS
from surrogate.client.wire import PredictionView
from tests.client.scripted import Script, found, problem

BROKEN = httpx.ConnectError("connection refused")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(room.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("failure", [BROKEN, httpx.ReadTimeout("silent"), problem(503), problem(429)])
def test_a_request_is_repeated_with_the_same_content(
    pauses: list[float], method: room.Method, failure: httpx.Response | Exception
) -> None:
    """The same idempotency key too, so that a repeated question is one prediction."""
    script = Script(failure, failure, found())
    headers = {"Idempotency-Key": "one"}
    view = script.connection().read(PredictionView, method, "/v1/x", body=Body(json='{"a":1}'), headers=headers)
    assert view.id == "p" and len(script.asked) == 3 and len(pauses) == 2
    assert {(each.content, each.headers["Idempotency-Key"]) for each in script.asked} == {(b'{"a":1}', "one")}


def test_pauses_grow_and_honour_what_the_service_asks_for(pauses: list[float]) -> None:
    script = Script(BROKEN, BROKEN, problem(429, **{"Retry-After": "7"}), found())
    script.connection().send("GET", "/v1/x")
    # Half to all of 0.25, 0.5 and 1 s; the third after the seven that it was told to wait.
    assert 0.125 <= pauses[0] <= 0.25 < pauses[1] <= 0.5 and 7.5 <= pauses[2] <= 8


def test_a_date_to_come_back_at_is_understood(pauses: list[float]) -> None:
    script = Script(problem(503, **{"Retry-After": formatdate(room.time.time() + 20, usegmt=True)}), found())
    script.connection().send("GET", "/v1/x")
    # The date has whole seconds.
    assert 18 < pauses[0] < 21


def test_a_service_that_asks_for_an_hour_is_not_waited_for(pauses: list[float]) -> None:
    script = Script(problem(503, **{"Retry-After": "3600"}))
    with pytest.raises(UnavailableError) as raised:
        script.connection(attempts=2).send("GET", "/v1/x")
    assert pauses[0] < 62 and raised.value.retry_after_s == 3600


def test_what_cannot_succeed_is_not_repeated(pauses: list[float]) -> None:
    for status in (400, 401, 403, 404, 409, 413, 415, 422, 500, 507):
        script = Script(problem(status, "told so"))
        with pytest.raises(RefusedError, match="told so") as raised:
            script.connection().send("POST", "/v1/x")
        assert raised.value.status == status and type(raised.value) is _KINDS[status]
        assert len(script.asked) == 1
    assert not pauses


def test_attempts_come_to_an_end(pauses: list[float]) -> None:
    script = Script(BROKEN)
    with pytest.raises(UnreachableError, match="http://service/v1/x got no answer in 4 attempts: connection refused"):
        script.connection().send("GET", "/v1/x")
    with pytest.raises(RateLimitedError):
        Script(problem(429)).connection().send("GET", "/v1/x")
    assert len(script.asked) == 4


def test_a_deletion_whose_answer_was_lost_is_one(pauses: list[float]) -> None:
    assert Script(httpx.ReadError("cut"), problem(404)).connection().send("DELETE", "/v1/x").status_code == 404
    with pytest.raises(NotFoundError):
        Script(problem(404)).connection().send("DELETE", "/v1/x")


def test_an_answer_of_something_else_is_told_apart() -> None:
    with pytest.raises(UnexpectedAnswerError, match="no PredictionView"):
        Script(httpx.Response(200, html="<h1>It works</h1>")).connection().read(PredictionView, "GET", "/v1/x")
    with pytest.raises(ForbiddenError, match="403: <h1>Not for you"):
        Script(httpx.Response(403, html="<h1>Not for you</h1>")).connection().send("GET", "/v1/x")
    with pytest.raises(RefusedError, match="418"):
        Script(httpx.Response(418)).connection().send("GET", "/v1/x")


def test_every_error_is_one_of_the_library() -> None:
    assert issubclass(ClientError, SurrogateError)
    assert all(issubclass(kind, ClientError) for kind in _KINDS.values())


def test_the_key_goes_with_every_request() -> None:
    script = Script(found())
    transport = httpx.MockTransport(script)
    with_key = room.Connection("http://service", api_key="srg_1.x", timeout_s=5, attempts=1, transport=transport)
    with_key.send("GET", "/v1/x")
    with with_key.stream("/v1/x") as response:
        assert response.read()
    assert [each.headers["X-API-Key"] for each in script.asked] == ["srg_1.x"] * 2
