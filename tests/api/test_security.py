"""Who may do what, for every route that there is: a route added later is asked too, because the OpenAPI document is."""

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import Message

from api.database import open_database
from api.keys import open_keys
from api.records import Records
from api.security import needed_scope
from api.settings import Settings
from api.tables import MeshRow, PredictionRow
from api.telemetry import configure_logs
from tests.api.in_process import Service, started
from tests.api.service_process import problem, refused

# Anybody may ask for these, and for nothing else.
OPEN_TO_ALL = {"/healthz", "/readyz"}
MESH, PREDICTION = "a" * 32, "b" * 32
PARAMETERS = {"mesh_id": MESH, "prediction_id": PREDICTION, "name": "graph-jepa-2"}


@dataclass(frozen=True)
class Shared:
    """One service with an owner's objects, and the keys of several people.

    Attributes:
        service: with the keys below.
        owner: may read and run; a mesh and a prediction are hers.
        reader: may read.
        stranger: may read and run.
        operator: may see how the service fares.
        revoked: could do everything once.
    """

    service: Service
    owner: str
    reader: str
    stranger: str
    operator: str
    revoked: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    directory = tmp_path_factory.mktemp("security")
    settings = Settings(data_directory=directory, requests_per_minute=0, wrong_keys_per_minute=0)
    keys = open_keys(settings)
    owner = keys.create("owner", ["run"])
    revoked = keys.create("revoked", ["read", "run", "admin"])
    keys.revoke(revoked.row.id)
    records = Records(open_database(settings.metadata_url))
    records.add(MeshRow(id=MESH, owner=owner.row.id, name="part.step", suffix=".step", status="failed", error={}))
    row = PredictionRow(id=PREDICTION, owner=owner.row.id, mesh_id=MESH, name="part", request="{}", fidelity="solved")
    records.add(row)
    with started(directory, requests_per_minute=0, wrong_keys_per_minute=0, anonymous_requests_per_minute=0) as service:
        yield Shared(
            service,
            owner.text,
            keys.create("reader", ["read"]).text,
            keys.create("stranger", ["run"]).text,
            keys.create("operator", ["admin"]).text,
            revoked.text,
        )


def operations(service: Service) -> list[tuple[str, str]]:
    """Method and path of every operation, objects of the owner in the place of the parameters."""
    document = service.app.openapi()
    found = []
    for path, methods in document["paths"].items():
        unknown = set(re.findall(r"\{(\w+)\}", path)) - set(PARAMETERS)
        assert not unknown, f"{path}: give {unknown} a value in PARAMETERS"
        found += [(method.upper(), path.format(**PARAMETERS)) for method in methods]
    return found


def test_every_route_asks_for_a_key(shared: Shared) -> None:
    """Nothing under /v1 is answered to whoever has none, whatever is sent along."""
    asked = [each for each in operations(shared.service) if each[1] not in OPEN_TO_ALL]
    assert len(asked) > 15
    for key in (None, "", "x", shared.revoked, shared.owner[:-1], shared.owner + "x", f"{shared.owner} "[1:]):
        with shared.service.client(key) as client:
            for method, path in asked:
                response = client.request(method, path)
                refused(response, 401)
                assert response.headers["WWW-Authenticate"], path


def test_what_is_open_to_all_is_listed_here_and_nowhere_else(shared: Shared) -> None:
    """So that nobody opens a route by the way."""
    assert {path for method, path in operations(shared.service) if needed_scope(method, path) is None} == OPEN_TO_ALL


def test_what_no_route_serves_is_closed_too(shared: Shared) -> None:
    """Whoever has no key does not learn which addresses there are."""
    with shared.service.client() as client:
        for path in ("/v1", "/v1/", "/v1/nothing", "/docs", "/redoc", "//v1/materials", "/page/../v1/materials"):
            assert client.get(path).status_code in (401, 404), path
        refused(client.get("/v1/nothing"), 401)
        refused(client.options("/v1/materials"), 401)


def test_a_key_that_reads_changes_nothing(shared: Shared) -> None:
    with shared.service.client(shared.reader) as client:
        changing = [(method, path) for method, path in operations(shared.service) if method not in ("GET", "HEAD")]
        assert {method for method, _ in changing} == {"POST", "DELETE"}
        for method, path in changing:
            assert "'run'" in refused(client.request(method, path), 403), path
        assert client.get("/v1/materials").status_code == 200


def test_the_counters_are_the_operators(shared: Shared) -> None:
    for key in (shared.owner, shared.reader):
        with shared.service.client(key) as client:
            assert "'admin'" in refused(client.get("/metrics"), 403)
    with shared.service.client(shared.operator) as client:
        assert client.get("/metrics").status_code == 200
        # Seeing how the service fares shows nobody's parts.
        refused(client.get("/v1/predictions"), 403)


def test_another_s_objects_do_not_exist(shared: Shared) -> None:
    """404 and not 403, with the same words as for what never was: nobody learns what others have."""
    with shared.service.client(shared.owner) as mine, shared.service.client(shared.stranger) as client:
        of_objects = [each for each in operations(shared.service) if MESH in each[1] or PREDICTION in each[1]]
        assert len(of_objects) > 10
        for method, path in of_objects:
            said = refused(client.request(method, path), 404)
            nothing = re.sub(f"{MESH}|{PREDICTION}", "c" * 32, path)
            never = refused(client.request(method, nothing), 404)
            assert re.sub(f"{MESH}|{PREDICTION}", "c" * 32, said) == never, path
        refused(client.post("/v1/predictions", json=problem(MESH)), 404)
        assert client.get("/v1/predictions").json()["predictions"] == []
        assert client.get(f"/v1/predictions?mesh={MESH}").json()["predictions"] == []
        refused(client.get(f"/v1/predictions?after={PREDICTION}"), 404)
        assert [each["id"] for each in mine.get("/v1/predictions").json()["predictions"]] == [PREDICTION]


def test_a_key_is_taken_as_a_bearer_token_too(shared: Shared) -> None:
    """Prometheus and most other programs know how to send one."""
    with shared.service.client(Authorization=f"Bearer {shared.reader}") as client:
        assert client.get("/v1/materials").status_code == 200
    with shared.service.client(Authorization="Basic eDp5") as client:
        refused(client.get("/v1/materials"), 401)


def test_the_document_says_what_each_operation_needs(shared: Shared) -> None:
    document = shared.service.app.openapi()
    assert document["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-Key"
    assert document["paths"]["/v1/meshes"]["post"]["x-scope"] == "run"
    assert "security" not in document["paths"]["/healthz"]["get"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path not in OPEN_TO_ALL:
                assert {"401", "403", "429"} <= set(operation["responses"]) or path == "/metrics", f"{method} {path}"


def test_an_upload_without_a_key_is_refused_before_it_is_read(shared: Shared) -> None:
    """A stranger must not fill the disk while he waits; what he goes on sending is thrown away, and that has an end."""
    events: list[str] = []
    sent: list[Message] = []

    async def receive() -> Message:
        events.append("read")
        return {"type": "http.request", "body": b"x" * 2**20, "more_body": True}

    async def send(message: Message) -> None:
        events.append(message["type"])
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/meshes", "query_string": b"", "scheme": "http",
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
    }  # fmt: skip
    shared.service.portal.call(shared.service.app, scope, receive, send)
    assert sent[0]["status"] == 401 and json.loads(sent[1]["body"])["status"] == 401
    assert events[:3] == ["http.response.start", "http.response.body", "read"]
    assert 2 < events.count("read") <= Settings().max_upload_bytes / 2**20 and not sent[-1].get("more_body")


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """Logs go where they went before, and no longer into what a test captured."""
    yield
    configure_logs(Settings())


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_is_nowhere_but_with_its_holder(
    restored_logs: None, tmp_path: Path, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither a log, at its most talkative, nor a database tells it."""
    keys = open_keys(Settings(data_directory=tmp_path))
    issued = keys.create("one", ["run", "admin"])
    rotated = keys.rotate(issued.row.id)
    with started(tmp_path, log_level="DEBUG", log_format=form) as service:
        for text in (rotated.text, issued.text):
            with service.client(text) as client, service.client(Authorization=f"Bearer {text}") as other:
                for method, path in operations(service):
                    client.request(method, path)
                other.get("/v1/materials")
                client.post("/v1/predictions", json={"mesh": 7})
                client.post("/v1/meshes", files={"file": ("x.step", b"x")})
    printed = "".join(capfd.readouterr())
    assert "/v1/materials" in printed
    secrets = [text.split(".")[1] for text in (issued.text, rotated.text)]
    assert not any(secret in printed for secret in secrets)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite" for path in files)
    for path in files:
        assert not any(secret.encode() in path.read_bytes() for secret in secrets), path
    with sqlite3.connect(tmp_path / "service.sqlite") as database:
        assert rotated.row.secret_hash in json.dumps(database.execute("select * from surrogate_keys").fetchall())
