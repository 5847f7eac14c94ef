"""Who may do what."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.tables import LOCAL_OWNER


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes:
        owner: id of the API key, which owns what it makes.
    """

    owner: str


def _caller() -> Caller:
    return Caller(LOCAL_OWNER)


CallerOf = Annotated[Caller, Depends(_caller)]
