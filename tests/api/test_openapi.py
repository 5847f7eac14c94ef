"""The document is valid, complete, and shows nothing that the service does not do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from api.app import create_app
from api.errors import PROBLEM_JSON
from api.openapi import TAGS, Document, Json, Method, example, operations
from api.routes.events import EVENT_STREAM
from api.settings import Settings
from tests.api.service_process import PART, problem, refused

BINARY = ("application/octet-stream", "application/zip", "image/png", "text/html", "text/plain")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return cast(Document, create_app(Settings(data_directory=tmp_path_factory.mktemp("none"))).openapi())


def responses(document: Document) -> Iterator[tuple[str, Method, int, Json]]:
    for path, method, operation in operations(document):
        for status, response in cast(dict[str, Json], operation["responses"]).items():
            yield path, method, int(status), response


def content(response: Json) -> dict[str, Json]:
    return cast(dict[str, Json], response.get("content", {}))


def check(document: Document, schema: object, value: object) -> None:
    """Holds a value to a schema of the document."""
    whole: Resource[object] = Resource(contents=document, specification=DRAFT202012)
    registry: Registry[object] = Registry().with_resource("urn:document", whole)
    text = json.dumps(schema).replace('"#/', '"urn:document#/')
    Draft202012Validator(json.loads(text), registry=registry).validate(value)


def test_the_document_is_valid(document: Document) -> None:
    validate(document)
    assert str(document["openapi"]).startswith("3.1")


def test_every_reference_leads_somewhere(document: Document) -> None:
    """A client can be generated from the document."""
    components = document["components"]
    for reference in json.dumps(document).split('"$ref": "')[1:]:
        kind, name = reference.split('"')[0].removeprefix("#/components/").split("/")
        assert name in cast(Json, components[kind])


def test_every_operation_says_what_it_does(document: Document) -> None:
    named: set[object] = set()
    for path, method, operation in operations(document):
        assert operation["summary"] and operation["description"] and operation["tags"], (path, method)
        assert set(cast(list[str], operation["tags"])) <= set(TAGS)
        for parameter in cast(list[Json], operation.get("parameters", [])):
            assert parameter["in"] == "path" or parameter.get("description"), (path, parameter["name"])
        named.add(operation["operationId"])
    assert len(named) == len(list(operations(document))), "generated clients need a name for each"


def test_every_answer_has_an_example_that_its_schema_allows(document: Document) -> None:
    for path, method, status, response in responses(document):
        for media_type, media in content(response).items():
            if media_type in BINARY:
                continue
            assert "example" in media, (path, method, status)
            if media_type != EVENT_STREAM:
                check(document, media["schema"], media["example"])


def test_every_error_is_problem_json(document: Document) -> None:
    for path, method, status, response in responses(document):
        if status >= 400 and (path, status) != ("/readyz", 503):
            assert list(content(response)) == [PROBLEM_JSON], (path, method, status)
            assert cast(Json, content(response)[PROBLEM_JSON]["example"])["status"] == status


def test_every_operation_declares_what_can_go_wrong(document: Document) -> None:
    """Of each status, the operations where it can occur."""
    declared = {
        (path, method): {int(status) for status in cast(Json, operation["responses"])}
        for path, method, operation in operations(document)
    }
    for (path, method), statuses in declared.items():
        assert {405, 429, 500} <= statuses
        if path.startswith("/v1/"):
            assert {401, 403} <= statuses, path
        if "{" in path:
            assert 404 in statuses, path
        if path.startswith("/v1/") and not path.startswith("/v1/materials"):
            assert 503 in statuses, path
        if method == "post" and path in ("/v1/meshes", "/v1/predictions"):
            assert {202, 400, 413, 415, 422, 507} <= statuses, path
    assert {path for (path, method), statuses in declared.items() if 409 in statuses and method == "delete"} == {
        "/v1/meshes/{mesh_id}",
        "/v1/predictions/{prediction_id}",
    }


def test_headers_are_declared(document: Document) -> None:
    for path, _, status, response in responses(document):
        headers = set(cast(Json, response["headers"]))
        assert "X-Request-ID" in headers
        assert ("Retry-After" in headers) == (status in (429, 503) or (status == 202 and not path.endswith("/cancel")))
        assert ("WWW-Authenticate" in headers) == (status == 401)
        if set(content(response)) & set(BINARY) and path != "/metrics":
            assert {"ETag", "Cache-Control"} <= headers, path


def test_callers_learn_how_to_say_who_they_are(document: Document) -> None:
    schemes = cast(dict[str, Json], cast(Json, document["components"])["securitySchemes"])
    assert [(each["type"], each["in"], each["name"]) for each in schemes.values()] == [
        ("apiKey", "header", "X-API-Key")
    ]
    for path, _, operation in operations(document):
        assert ("security" in operation) == (path.startswith("/v1/") or path == "/metrics")


@pytest.mark.parametrize("name", list(cast(Json, example("prediction_requests"))))
def test_a_request_that_is_shown_is_accepted(client: httpx.Client, mesh_id: str, document: Document, name: str) -> None:
    shown = cast(dict[str, Json], example("prediction_requests"))[name]["value"]
    body = json.loads(json.dumps(shown).replace('"MESH"', json.dumps(mesh_id)))
    response = client.post("/v1/predictions", json=body)
    assert response.status_code == 202, response.text
    assert_as_declared(document, "/v1/predictions", "post", response)
    client.post(f"{response.headers['Location']}/cancel")


@pytest.mark.parametrize("name", list(cast(Json, example("mesh_requests"))))
def test_an_upload_that_is_shown_is_accepted(client: httpx.Client, document: Document, name: str) -> None:
    shown = dict(cast(Json, cast(dict[str, Json], example("mesh_requests"))[name]["value"]))
    part = PART.with_name(str(shown.pop("file")).removeprefix("the content of "))
    form = {key: str(value) for key, value in shown.items()}
    response = client.post("/v1/meshes", files={"file": (part.name, part.read_bytes())}, data=form)
    assert response.status_code in (200, 201, 202), response.text
    assert_as_declared(document, "/v1/meshes", "post", response)


def assert_as_declared(document: Document, path: str, method: Method, response: httpx.Response) -> None:
    """The status, the headers and the body of an answer are those of the document."""
    paths = cast(dict[str, dict[Method, Json]], document["paths"])
    found = cast(dict[str, Json], paths[path][method]["responses"])[str(response.status_code)]
    ours = {"location", "retry-after", "etag", "link", "preference-applied", "www-authenticate", "content-disposition"}
    assert ours & set(response.headers) <= {name.lower() for name in cast(Json, found["headers"])}, path
    if response.headers.get("content-type", "").partition(";")[0] in ("application/json", PROBLEM_JSON):
        media = content(found)[response.headers["content-type"].partition(";")[0]]
        check(document, media["schema"], response.json())


@pytest.mark.slow
def test_answers_are_as_declared(client: httpx.Client, document: Document, mesh_id: str, solved: Json) -> None:
    """One call of every operation that reads, and of what can go wrong with it."""
    ids = {"{mesh_id}": mesh_id, "{prediction_id}": str(solved["id"]), "{name}": "nothing"}
    for path, method, _ in operations(document):
        if method != "get":
            continue
        real, wrong = path, path
        for placeholder, value in ids.items():
            real, wrong = real.replace(placeholder, value), wrong.replace(placeholder, "nothing")
        for address in {real, wrong}:
            response = client.get(address, headers={"Prefer": "wait=1"}, timeout=300)
            assert_as_declared(document, path, method, response)


def test_the_recorded_answers_have_the_structure_of_todays(client: httpx.Client, mesh_id: str, solved: Json) -> None:
    """A field that is added or dropped shows here: then `make api-examples`."""

    def keys(value: object) -> object:
        if isinstance(value, dict):
            return {name: keys(each) for name, each in value.items() if name not in ("links", "timings_s", "factors")}
        return [keys(value[0])] if isinstance(value, list) and value else None

    assert keys(example("mesh")) == keys(client.get(f"/v1/meshes/{mesh_id}").json())
    todays = client.get(f"/v1/predictions/{solved['id']}").json()
    assert set(cast(Json, example("prediction"))) == set(todays)
    assert keys(example("materials")) == keys(client.get("/v1/materials").json())
    assert keys(example("ready")) == keys(client.get("/readyz").json())


def test_an_error_is_as_it_is_shown(client: httpx.Client, document: Document, mesh_id: str) -> None:
    refused(client.post("/v1/predictions", json=problem(mesh_id, supports=[])), 422)
    response = client.post("/v1/predictions", json=problem(mesh_id, supports=[]))
    assert_as_declared(document, "/v1/predictions", "post", response)


def test_every_recorded_answer_is_shown(document: Document) -> None:
    stored = {path.stem for path in (Path(__file__).parents[2] / "api" / "examples").glob("*.json")}
    shown = json.dumps(document)
    assert all(json.dumps(example(name)) in shown for name in stored)
