"""Requests to the service that survive a busy service and a broken connection.

Every request of the API may be repeated: uploads are known by their content, predictions carry an idempotency key, and
to cancel, verify or delete twice is to do it once. So each is retried when the connection breaks, and when the service
says 429 or 503, after the time that it asks for.
"""

import random
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from surrogate.client.errors import RefusedError, UnexpectedAnswerError, UnreachableError, refusal
from surrogate.client.wire import ProblemDetails

Method = Literal["GET", "POST", "DELETE"]
ModelT = TypeVar("ModelT", bound=BaseModel)

PROBLEM_JSON = "application/problem+json"
_TRY_LATER = (429, 503)
# Pauses between attempts double from the first to the longest; what the service asks for is honoured up to the last.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _MOST_HONOURED_S = 0.25, 8.0, 60.0


@dataclass(frozen=True)
class Body:
    """What a request carries; kept in memory, so that every attempt can send it anew.

    Attributes:
        json: a JSON text.
        files: name and content of the files of a form, by field.
        form: its other fields.
    """

    json: str | None = None
    files: Mapping[str, tuple[str, bytes]] | None = None
    form: Mapping[str, str] | None = None


class Connection:
    """A connection to one service.

    Args:
        base_url: address of the service.
        api_key: sent as X-API-Key.
        timeout_s: longest silence within a request, s; waiting for a job is not bounded by it.
        attempts: how often a request is tried.
        transport: of httpx, to reach the service otherwise.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        timeout_s: float,
        attempts: int,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Accept": f"application/json, {PROBLEM_JSON}, */*;q=0.5"}
        if api_key is not None:
            headers["X-API-Key"] = api_key
        self.timeout_s = timeout_s
        self._attempts = max(attempts, 1)
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        """Closes the sockets."""
        self._http.close()

    def read(
        self,
        model: type[ModelT],
        method: Method,
        path: str,
        *,
        body: Body | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float | None = None,
        accepted: Collection[int] = (),
    ) -> ModelT:
        """The answer as a model.

        Raises:
            ClientError: refused, unreachable, or not an answer of this service.
        """
        response = self.send(
            method, path, body=body, query=query, headers=headers, silence_s=silence_s, accepted=accepted
        )
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise UnexpectedAnswerError(
                f"{method} {response.url} answered with something that is no {model.__name__} "
                f"({error.error_count()} findings); is it this service, and of this version?"
            ) from error

    def send(
        self,
        method: Method,
        path: str,
        *,
        body: Body | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float | None = None,
        accepted: Collection[int] = (),
    ) -> httpx.Response:
        """The whole answer, tried several times.

        Args:
            method: GET, POST or DELETE.
            path: of the resource, with its query where the service gave it so.
            body: what it carries.
            query: further parameters.
            headers: further headers.
            silence_s: longest silence in place of `timeout_s`, s.
            accepted: statuses that are an answer although they are errors.

        Raises:
            ClientError: refused or unreachable after all attempts.
        """
        body = body or Body()
        given = dict(headers or {}) | ({"Content-Type": "application/json"} if body.json is not None else {})
        for attempt in range(1, self._attempts + 1):
            try:
                response = self._http.request(
                    method,
                    path,
                    params=query,
                    content=body.json,
                    files=body.files,
                    data=body.form,
                    headers=given,
                    timeout=httpx.Timeout(self.timeout_s, read=silence_s or self.timeout_s),
                )
            except httpx.TransportError as error:
                if attempt == self._attempts:
                    raise self._unreachable(method, path, error) from error
                self._pause(attempt)
                continue
            if (
                response.is_success
                or response.status_code in accepted
                or (method == "DELETE" and response.status_code == 404 and attempt > 1)
            ):
                # The answer to an earlier attempt to delete may have been lost.
                return response
            refused = refused_by(response)
            if response.status_code not in _TRY_LATER or attempt == self._attempts:
                raise refused
            self._pause(attempt, refused.retry_after_s)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, silence_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """An answer that is read as it comes; one attempt.

        Raises:
            RefusedError: refused.
            httpx.TransportError: the connection broke.
        """
        timeout = httpx.Timeout(self.timeout_s, read=silence_s or self.timeout_s)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise refused_by(response)
            yield response

    def _unreachable(self, method: str, path: str, error: httpx.TransportError) -> UnreachableError:
        reason = str(error) or type(error).__name__
        return UnreachableError(
            f"{method} {self._http.base_url.join(path)} got no answer in {self._attempts} attempts: {reason}; "
            "is the service running, and is its address right?"
        )

    def _pause(self, attempt: int, asked_s: float | None = None) -> None:
        backoff = min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
        # Clients that were sent away together do not come back together.
        time.sleep(min(asked_s or 0.0, _MOST_HONOURED_S) + backoff * random.uniform(0.5, 1.0))


def refused_by(response: httpx.Response) -> RefusedError:
    """The error that a response carries; one that is not of this service keeps its first words."""
    retry_after_s = _seconds(response.headers.get("Retry-After"))
    if response.headers.get("Content-Type", "").startswith(PROBLEM_JSON):
        try:
            return refusal(ProblemDetails.model_validate_json(response.content), retry_after_s=retry_after_s)
        except ValidationError:
            pass
    problem = ProblemDetails(
        title=response.reason_phrase,
        status=response.status_code,
        detail=f"{response.request.method} {response.url} answered {response.status_code}: {response.text[:200]}",
    )
    return refusal(problem, retry_after_s=retry_after_s)


def _seconds(value: str | None) -> float | None:
    """Retry-After, which is seconds or a date."""
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
