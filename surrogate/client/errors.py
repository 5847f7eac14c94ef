"""What a client of the service raises; the text of each is what the service said: what, the value, the remedy.

ClientError
├── UnreachableError            no answer: the service is down, the address is wrong, or the connection broke
├── UnexpectedAnswerError       an answer that is not of this service, perhaps a proxy's
├── WaitTimeoutError            not finished in the time that was given; the job goes on
├── JobFailedError              a mesh or a prediction ended as failed
├── JobCancelledError           a prediction was cancelled
└── RefusedError                the service refused the request, in `problem` (RFC 9457)
    ├── BadRequestError         400
    ├── UnauthenticatedError    401: no API key, or none that holds
    ├── ForbiddenError          403: the key's scopes do not allow it
    ├── NotFoundError           404: no such mesh or prediction among those of this key
    ├── ConflictError           409: it does not fit the state of what it names
    ├── ContentTooLargeError    413
    ├── UnsupportedMediaError   415: no reader for this kind of file
    ├── InvalidError            422: the problem or the part is wrong
    ├── RateLimitedError        429: after all retries
    ├── ServiceFailedError      500
    ├── UnavailableError        503: after all retries
    └── StorageFullError        507
"""

from surrogate.client.wire import ProblemDetails
from surrogate.errors import SurrogateError


class ClientError(SurrogateError):
    """Base of what a client of the service raises."""


class UnreachableError(ClientError):
    """No answer."""


class UnexpectedAnswerError(ClientError):
    """An answer that is not of this service."""


class WaitTimeoutError(ClientError):
    """Not finished in the time that was given."""


class JobFailedError(ClientError):
    """A mesh or a prediction ended as failed.

    Attributes:
        problem: why; its status is the one that a request would have been refused with.
    """

    def __init__(self, problem: ProblemDetails) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class JobCancelledError(ClientError):
    """A prediction was cancelled."""


class RefusedError(ClientError):
    """The service refused the request.

    Attributes:
        problem: the error as the service described it.
        retry_after_s: when the service says that another attempt may succeed, s.
    """

    def __init__(self, problem: ProblemDetails, *, retry_after_s: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status


class BadRequestError(RefusedError):
    """Not a request that could be read."""


class UnauthenticatedError(RefusedError):
    """No API key, or none that holds."""


class ForbiddenError(RefusedError):
    """The key's scopes do not allow this."""


class NotFoundError(RefusedError):
    """No such mesh or prediction among those of this key."""


class ConflictError(RefusedError):
    """The request does not fit the state of what it names."""


class ContentTooLargeError(RefusedError):
    """Over a size limit."""


class UnsupportedMediaError(RefusedError):
    """No reader for this kind of file."""


class InvalidError(RefusedError):
    """The problem or the part is wrong."""


class RateLimitedError(RefusedError):
    """More than this key may ask for; retried in vain."""


class ServiceFailedError(RefusedError):
    """The service failed in a way that it should not."""


class UnavailableError(RefusedError):
    """The service cannot answer now; retried in vain."""


class StorageFullError(RefusedError):
    """The service has no room for this."""


_KINDS: dict[int, type[RefusedError]] = {
    400: BadRequestError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: ContentTooLargeError,
    415: UnsupportedMediaError,
    422: InvalidError,
    429: RateLimitedError,
    500: ServiceFailedError,
    503: UnavailableError,
    507: StorageFullError,
}


def refusal(problem: ProblemDetails, *, retry_after_s: float | None = None) -> RefusedError:
    """The error of a problem, by its status."""
    return _KINDS.get(problem.status, RefusedError)(problem, retry_after_s=retry_after_s)
