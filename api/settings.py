"""The service's settings; the only place that reads the environment.

Every setting is `SURROGATE_` plus its name in capitals: `SURROGATE_DATA_DIRECTORY=/srv/surrogate`.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "SURROGATE_"


def _this_machine() -> str:
    """Its name, which a container has of its own, as a name of a worker."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname()).lstrip("._-")[:80] or "service"


class Settings(BaseSettings):
    """What an operator may choose.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        data_directory: where uploads, results and, by default, the databases live.
        database_url: SQLAlchemy URL of the service's own tables; default SQLite in the data directory.
        jobs_database_url: URL of the job engine's tables; default SQLite in the data directory, or `database_url`
            where that is Postgres.
        blob_url: where uploads and results are kept, s3://bucket/prefix for one; default the data directory. Processes
            of several machines share this and the database, and nothing else.
        blob_endpoint: address of an S3-compatible server; default that of the cloud. Credentials: AWS_ACCESS_KEY_ID,
            AWS_SECRET_ACCESS_KEY, AWS_REGION, or the role of the machine.
        cache_bytes: about how much of the data directory the copies of what is kept elsewhere may take, bytes.
        trusted_proxies: addresses or networks, comma-separated, of proxies whose word is taken for where a request
            comes from (X-Forwarded-For, X-Forwarded-Proto).
        allowed_origins: web pages of other origins that browsers may let in, comma-separated: https://parts.example.
        requests_per_minute: most requests of one API key in any minute; 0 sets no limit, as below.
        unfinished_jobs: most meshes and predictions of one key that wait or run at once.
        stored_bytes: most that uploads and results of one key may take, bytes.
        anonymous_requests_per_minute: most requests without a key from one address in any minute.
        wrong_keys_per_minute: so many wrong keys from one address in a minute, and it has to wait.
        worker_id: stable name of this process, default that of this machine; after a crash a worker of the same name
            takes its jobs up again. The workers that `surrogate serve` starts are called after it, with a number.
        workers: worker processes that `surrogate serve` starts and keeps alive; 0 where they run elsewhere. SQLite
            serves one.
        worker_nice: by how much the processes that `surrogate serve` starts give way to it where processors are few.
        supervised: set for the workers that `surrogate serve` starts: they count in files that it reads.
        instance: set for the processes of workers: tells one from the next of its name.
        supervisor: set for them too: the process that started them, with which they end.
        worker_silence_s: a worker on another machine that was not heard of for so long is dead, and others take its
            jobs over, s.
        drain_s: how long running jobs may take to finish when the service is told to end, s; longer ones go on at the
            next start, or in another worker.
        device: torch device of the model: auto, cpu, cuda, cuda:1, …
        model: name of the model that answers where a request names none; None takes the registry's default.
        max_upload_bytes: largest request body, bytes.
        max_json_bytes: largest body that is no upload, bytes: JSON takes up to twenty times its size while it is read.
        max_answer_bytes: most memory that the answers in work may take, bytes; predicting takes about four times it.
        mesh_wait_s: how long an upload waits for its mesh before it is answered 202, s.
        max_wait_s: longest `Prefer: wait` that is honoured, s.
        batch_window_s: how long the first request of a batch waits for others, s.
        batch_size: most problems in one batch.
        batch_points: most points of the meshes in one batch; a larger one goes alone. All of a batch wait for its last.
        batch_capacity: problems that may wait for the model before new ones are refused.
        concurrent_predictions: predictions that are prepared and batched at the same time.
        concurrent_renders: pictures and files that are made at the same time.
        max_unfinished: meshes and predictions of all callers that may wait or run before new ones are refused.
        job_attempts: how often a job may take the process down before it is given up.
        job_poll_s: how often the queues are looked at, s.
        metrics_port: where a worker that `surrogate serve` did not start tells Prometheus its numbers; None: nowhere.
        metrics_host: address of that.
        otlp_endpoint: collector of OpenTelemetry traces, http://collector:4318 for one, or OTEL_EXPORTER_OTLP_ENDPOINT;
            None traces nothing.
        log_level: least severe level that is logged.
        log_format: one JSON object a line, or coloured text.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_directory: Path = Path("~/.local/share/surrogate")
    database_url: str | None = None
    jobs_database_url: str | None = None
    blob_url: str | None = None
    blob_endpoint: str | None = None
    cache_bytes: PositiveInt = 10 * 2**30
    trusted_proxies: str = "127.0.0.1"
    allowed_origins: str = ""
    requests_per_minute: NonNegativeInt = 600
    unfinished_jobs: NonNegativeInt = 100
    stored_bytes: NonNegativeInt = 20 * 2**30
    anonymous_requests_per_minute: NonNegativeInt = 300
    wrong_keys_per_minute: NonNegativeInt = 20
    worker_id: str = Field(default_factory=_this_machine, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    workers: int = Field(default=1, ge=0, le=64)
    worker_nice: int = Field(default=5, ge=0, le=19)
    supervised: bool = False
    instance: str | None = Field(default=None, max_length=32)
    supervisor: PositiveInt | None = None
    worker_silence_s: PositiveFloat = 15.0
    drain_s: float = Field(default=10.0, ge=0)
    device: str = "auto"
    model: str | None = None
    max_upload_bytes: PositiveInt = 128 * 2**20
    max_json_bytes: PositiveInt = 16 * 2**20
    max_answer_bytes: PositiveInt = 600_000_000
    mesh_wait_s: float = Field(default=5.0, ge=0)
    max_wait_s: float = Field(default=60.0, ge=0)
    batch_window_s: float = Field(default=0.005, ge=0)
    batch_size: PositiveInt = 16
    batch_points: PositiveInt = 20_000
    batch_capacity: PositiveInt = 256
    concurrent_predictions: PositiveInt = 16
    concurrent_renders: PositiveInt = 2
    max_unfinished: PositiveInt = 500
    job_attempts: PositiveInt = 3
    job_poll_s: PositiveFloat = 0.2
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    metrics_host: str = "127.0.0.1"
    otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices(f"{_PREFIX}OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"

    @property
    def directory(self) -> Path:
        """The data directory, absolute."""
        return self.data_directory.expanduser().resolve()

    @property
    def metadata_url(self) -> str:
        """URL of the service's own tables."""
        return self.database_url or f"sqlite:///{self.directory / 'service.sqlite'}"

    @property
    def jobs_url(self) -> str:
        """URL of the job engine's tables."""
        if self.jobs_database_url:
            return self.jobs_database_url
        if self.database_url and not self.database_url.startswith("sqlite"):
            return self.database_url
        return f"sqlite:///{self.directory / 'jobs.sqlite'}"

    @property
    def single_process(self) -> bool:
        """Whether a database is SQLite, which only one worker may use."""
        return self.metadata_url.startswith("sqlite") or self.jobs_url.startswith("sqlite")

    @property
    def origins(self) -> list[str]:
        """The web pages of other origins that are let in."""
        return [origin.strip().rstrip("/") for origin in self.allowed_origins.split(",") if origin.strip()]

    def environment(self, changes: Mapping[str, object]) -> dict[str, str]:
        """The environment of a child process that reads these settings from it, some of them changed."""
        given = self.model_dump(mode="json", exclude_none=True) | dict(changes)
        return {**os.environ, **{f"{_PREFIX}{name.upper()}": str(value) for name, value in given.items()}}
