"""A client of the service: what it answers with, what it raises, and the arrays that it sends."""

from surrogate.client.arrays import FieldArrays, SurfaceArrays
from surrogate.client.client import Client
from surrogate.client.errors import (
    BadRequestError,
    ClientError,
    ConflictError,
    ContentTooLargeError,
    ForbiddenError,
    InvalidError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    ServiceFailedError,
    StorageFullError,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    UnsupportedMediaError,
    WaitTimeoutError,
)
from surrogate.client.prediction import Prediction

__all__ = [
    "BadRequestError",
    "Client",
    "ClientError",
    "ConflictError",
    "ContentTooLargeError",
    "FieldArrays",
    "ForbiddenError",
    "InvalidError",
    "JobCancelledError",
    "JobFailedError",
    "NotFoundError",
    "Prediction",
    "RateLimitedError",
    "RefusedError",
    "ServiceFailedError",
    "StorageFullError",
    "SurfaceArrays",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "UnsupportedMediaError",
    "WaitTimeoutError",
]
