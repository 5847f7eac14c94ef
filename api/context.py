"""What the endpoints of one process share."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from anyio import CapacityLimiter
from fastapi import Depends, Request

from api.backlog import Backlog
from api.blobs import Blobs
from api.changes import Changes
from api.downloads import Downloads
from api.jobs import JobQueue
from api.makers import Makers
from api.metrics import ServiceMetrics
from api.quotas import Quotas
from api.records import Records
from api.settings import Settings


@dataclass(frozen=True)
class Context:
    """The service of one process.

    Attributes:
        settings: as the operator chose.
        records: the tables.
        blobs: the files.
        queue: takes jobs for the workers.
        downloads: files made of results.
        quotas: what each owner may have.
        backlog: the work of all owners that is not finished.
        metrics: of this process.
        makers: processes that compute for this one.
        download_threads: bounds the requests that wait for a file in a thread, so that they leave threads to others.
        changes: tells listeners how meshes and predictions go on.
    """

    settings: Settings
    records: Records
    blobs: Blobs
    queue: JobQueue
    downloads: Downloads
    quotas: Quotas
    backlog: Backlog
    metrics: ServiceMetrics
    makers: Makers
    download_threads: CapacityLimiter
    changes: Changes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", Changes(self.records))


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


ContextOf = Annotated[Context, Depends(_context)]
