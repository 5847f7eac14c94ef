"""A service that answers from a script, and remembers what it was asked."""

import json
from collections.abc import Callable

import httpx

from surrogate.client.connection import PROBLEM_JSON, Connection

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]

PREDICTION: dict[str, object] = {
    "id": "p",
    "mesh": "m",
    "name": "bracket",
    "fidelity": "surrogate",
    "status": "queued",
    "revision": 0,
    "created_at": "2026-11-27T00:00:00Z",
}


class Script:
    """Gives its answers one after the other, an exception by raising it; the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # Without a stream of its own, a response can be given again.
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    def connection(self, *, attempts: int = 4) -> Connection:
        return Connection(
            "http://service", api_key=None, timeout_s=5, attempts=attempts, transport=httpx.MockTransport(self)
        )


def problem(status: int, detail: str = "the text", **headers: str) -> httpx.Response:
    """An error as the service tells it."""
    body = {"type": "urn:surrogate:error:x", "title": "X", "status": status, "detail": detail}
    return httpx.Response(status, headers={"Content-Type": PROBLEM_JSON, **headers}, content=json.dumps(body))


def found(**changes: object) -> httpx.Response:
    """A prediction."""
    return httpx.Response(200, json={**PREDICTION, **changes})
