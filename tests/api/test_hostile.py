"""Hostile requests to the real service: readable 4xx, the same processes alive, no file outside the data folder."""

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from surrogate.model.checkpoint import save_checkpoint
from surrogate.model.jepa import GraphJepa, ModelConfig
from tests.api.service_process import PROBLEM_JSON, Server, problem, refused, upload
from tests.geometry.hostile_files import FILES, HostileFile, bomb, stl, vtu, write_points_vtu

LIMIT_BYTES = 8_000_000
# Bounded whatever is sent; a busy machine takes longer than the second that most need.
MOST_SECONDS = 120
CHOSEN = (
    "laughs.vtu", "file_entity.vtu", "deep.vtu", "points.vtu", "entity_count.vtu", "inflated.vtu", "source.vtu",
    "parallel.pvtu", "nan.vtu", "points.vtk", "connectivity.vtk", "four_billion.stl", "noise.stl", "nodes.msh",
    "script.msh", "include.inp", "generate.inp", "include.bdf", "cut.step", "noise.step", "comments.step", "zip.step",
    "twice.step.gz", "torn.step.gz", "part.exe", "step.stl", "nothing.step", "spaces.msh",
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose every folder is watched."""
    directory = tmp_path_factory.mktemp("fortress")
    save_checkpoint(directory / "untrained", GraphJepa(ModelConfig()), {"version": "0"})
    (directory / "tmp").mkdir()
    running = Server(
        directory,
        model=str(directory / "untrained"),
        max_upload_bytes=str(LIMIT_BYTES),
        mesh_wait_s="60",
        max_answer_bytes="60000000",
    )
    running.environment["TMPDIR"] = str(directory / "tmp")
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=MOST_SECONDS) as opened:
        yield opened


@pytest.fixture(scope="module")
def mesh_id(client: httpx.Client) -> str:
    return str(upload(client).json()["id"])


def processes(server: Server) -> set[int]:
    """The service and its workers."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return {server.process.pid, *map(int, children)}


@pytest.fixture(autouse=True)
def alive(server: Server, client: httpx.Client) -> Iterator[None]:
    """After every test the same processes answer, and no file lies where none belongs."""
    before = processes(server)
    yield
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").status_code == 200
    assert processes(server) == before, server.log()
    assert sorted(os.listdir(server.directory)) == ["data", "log.txt", "tmp", "untrained"]
    # What a reader worked in is gone with it.
    left = [
        name for name in os.listdir(server.directory / "tmp") if name.startswith(("isolated-", "part-", "unpacked-"))
    ]
    assert not left


def post(client: httpx.Client, name: str, content: bytes, **form: str) -> httpx.Response:
    return client.post("/v1/meshes", files={"file": (name, content)}, data=form)


def settled(client: httpx.Client, response: httpx.Response) -> httpx.Response:
    """The answer to an upload once it is read; on a busy machine that may take longer than the service waits."""
    deadline = time.monotonic() + MOST_SECONDS
    while response.status_code == 202 and time.monotonic() < deadline:
        body = client.get(response.headers["Location"], headers={"Prefer": "wait=5"}).json()
        if body["status"] == "failed":
            status = body["error"]["status"]
            return httpx.Response(
                status, json={**body["error"], "instance": "/v1/meshes"}, headers={"content-type": PROBLEM_JSON}
            )
    return response


def told(response: httpx.Response) -> str:
    """The text of a refusal: any 4xx in the form of all errors."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:500]}"
    return refused(response, response.status_code)


@pytest.mark.parametrize("file", [file for file in FILES if file.name in CHOSEN], ids=lambda file: file.name)
def test_a_hostile_file_is_refused(client: httpx.Client, file: HostileFile) -> None:
    content = file.content()
    start = time.monotonic()
    unit = {"length_unit": file.unit} if file.unit else {}
    detail = told(settled(client, post(client, file.name, content, **unit)))
    assert time.monotonic() - start < MOST_SECONDS
    assert file.name in detail


def test_all_chosen_files_exist() -> None:
    assert set(CHOSEN) <= {file.name for file in FILES}


def test_five_million_points_and_a_bomb_are_too_large(client: httpx.Client, tmp_path: Path) -> None:
    """Both are small on the wire; while they are refused the service goes on answering others."""
    write_points_vtu(tmp_path / "many.vtu", 5_000_000)
    packed = gzip.compress((tmp_path / "many.vtu").read_bytes(), compresslevel=1)
    delays: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=client.base_url, timeout=MOST_SECONDS) as other:
            while not done.is_set():
                begin = time.monotonic()
                other.get("/healthz").raise_for_status()
                delays.append(time.monotonic() - begin)
                time.sleep(0.1)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for name, content, says in (
            ("many.vtu.gz", packed, "5000000 points, the limit is 2000000"),
            ("bomb.step.gz", bomb(1), "unpacks to more than 1024 MiB"),
        ):
            unit = {"length_unit": "mm"} if "vtu" in name else {}
            assert says in refused(settled(client, post(client, name, content, **unit)), 413)
    finally:
        done.set()
        asking.join()
    assert len(delays) > 3 and sorted(delays)[len(delays) // 2] < 1


NAMES = (
    "../../../../escaped.step", "..\\..\\escaped.step", "/etc/escaped.step", "C:\\escaped.step", "a\0b.step",
    "a\r\nX-Injected: 1.step", "\u202egnp.step", "\uff41\uff0estep", "e\u0301" * 100 + ".step",
    "." * 300 + ".step", "x" * 5000 + ".step",
    "..", ".step", "", " .step", "con.step", "~root.step",
    "%2e%2e%2fescaped.step", '";filename="x.step', "\U0001f4a9.step",
    "\x7f\x1b[31m.step", "$(touch escaped).step", "`touch escaped`.step", "|touch escaped.step", "<script>.step",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(client: httpx.Client, server: Server, name: str) -> None:
    """Whatever it looks like, it is shown and nothing else; what is kept is named by the service."""
    # Each its own content, so that each is read anew.
    content = b"ISO-10303-21;\n/* " + name.encode("utf-8", "replace") + b" */\n"
    response = post(client, name, content)
    detail = told(response)
    assert "x-injected" not in response.headers
    assert "\0" not in detail and "\x1b" not in detail
    kept = [str(path.relative_to(server.directory)) for path in server.directory.rglob("*escaped*")]
    assert not kept and not Path("/etc/escaped.step").exists()


def test_a_kept_name_goes_back_as_a_header_without_harm(client: httpx.Client) -> None:
    tetrahedron = vtu().encode()
    for index, name in enumerate(('a"; filename="b.vtu', "a\u202eb\u00e9.vtu", "a\x01\x1b[2Jb.vtu", "..\\..\\c.vtu")):
        made = post(client, name, tetrahedron + b" " * index, length_unit="mm")
        assert made.status_code == 201, made.text
        shown = made.json()["name"]
        assert shown.isprintable() and "/" not in shown and "\\" not in shown
        back = client.get(f"/v1/meshes/{made.json()['id']}/content")
        assert back.status_code == 200 and back.content == tetrahedron + b" " * index
        assert "\n" not in back.headers["content-disposition"]


def talk(server: Server, *pieces: bytes, wait_s: float = 20.0) -> bytes:
    """What the service answers to bytes, whatever they are."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait_s) as plug:
        for piece in pieces:
            plug.sendall(piece)
        plug.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while more := plug.recv(65536):
                answer += more
        except (TimeoutError, ConnectionResetError):
            pass
    return answer


RAW = {
    "negative length": (b"Content-Length: -1\r\n", b""),
    "huge length": (b"Content-Length: 99999999999999999999999\r\n", b"x"),
    "endless digits": (b"Content-Length: " + b"9" * 5000 + b"\r\n", b"x"),
    "over the limit": (b"Content-Length: 9000000\r\n", b"x"),
    "two lengths": (b"Content-Length: 1\r\nContent-Length: 2\r\n", b"xx"),
    "longer than sent": (b"Content-Length: 1000\r\nContent-Type: application/json\r\n", b"{}"),
    "both ways": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "bad chunk": (b"Transfer-Encoding: chunked\r\n", b"zz\r\nhello\r\n"),
    "negative chunk": (b"Transfer-Encoding: chunked\r\n", b"-5\r\nhello\r\n"),
    "huge chunk": (b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\nhello\r\n"),
    "no boundary": (b"Content-Type: multipart/form-data\r\nContent-Length: 2\r\n", b"--"),
    "long boundary": (b"Content-Type: multipart/form-data; boundary=" + b"b" * 3000 + b"\r\nContent-Length: 2\r\n",
                      b"--"),
    "odd encoding": (b"Content-Type: application/json; charset=nonsense\r\nContent-Length: 2\r\n", b"{}"),
    "compressed": (b"Content-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: 2\r\n", b"\x1f\x8b"),
    "long header": (b"X-Long: " + b"a" * 100_000 + b"\r\n", b""),
    "many headers": (b"".join(b"X-%d: a\r\n" % index for index in range(5000)), b""),
    "binary header": (b"X-Request-ID: \xff\xfe\x80\r\nPrefer: \xff\r\n", b""),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("path", ["/v1/meshes", "/v1/predictions"])
def test_a_forged_message_is_no_server_error(server: Server, path: str, name: str) -> None:
    """It is refused, or the connection is closed; it is never taken for a request that was whole."""
    head, body = RAW[name]
    answer = talk(server, f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + head + b"\r\n" + body)
    status = answer[9:12].decode()
    assert answer == b"" or status.startswith("4"), answer[:300]


def test_words_that_are_no_http_close_the_connection(server: Server) -> None:
    for words in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"A" * 200_000,
    ):
        answer = talk(server, words)
        assert answer == b"" or answer.split(b" ", 2)[1].startswith(b"4"), answer[:200]


def send_json(client: httpx.Client, text: str | bytes, path: str = "/v1/predictions") -> httpx.Response:
    return client.post(path, content=text, headers={"Content-Type": "application/json"})


BODIES = {
    "nothing": "", "no JSON": "{", "a list": "[]", "null": "null", "a number": "1", "a string": '"x"',
    "deep lists": "[" * 200_000, "deep objects": '{"a":' * 200_000, "deep and closed": "[" * 50_000 + "]" * 50_000,
    "long number": "1" * 100_000, "long exponent": "1e" + "9" * 100_000, "NaN": "NaN", "infinity": '{"mesh": Infinity}',
    "half a pair": '{"mesh": "\\ud800"}', "NUL": '{"mesh": "\\u0000"}', "twice": '{"mesh": "a", "mesh": "b"}',
    "prototype": '{"__proto__": {"a": 1}, "constructor": {}}', "UTF-16": '{"mesh": "x"}'.encode("utf-16"),
    "no UTF-8": b'{"mesh": "\xff\xfe"}', "BOM": b"\xef\xbb\xbf{}",
    "many keys": json.dumps({f"k{i}": i for i in range(100_000)}),
    "long key": json.dumps({"k" * 1_000_000: 1}), "long string": json.dumps({"mesh": "x" * 1_000_000}),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_refused(client: httpx.Client, name: str) -> None:
    response = send_json(client, BODIES[name])
    told(response)
    # What was sent may be large, and may be secret.
    assert len(response.content) < 20_000


def changed(mesh_id: str, path: str, value: str) -> str:
    """The sample problem as JSON, with the text of one value put in."""
    body = problem(mesh_id, fidelity="surrogate")
    where: object = body
    *inner, last = path.split(".")
    for key in inner:
        where = where[int(key)] if isinstance(where, list) else where[key]  # type: ignore[index]
    where[int(last) if isinstance(where, list) else last] = "@@"  # type: ignore[index]
    return json.dumps(body).replace('"@@"', value)


VALUES = {
    "NaN factor": ("load_histories.0.factors", '{"bolt": [NaN]}'),
    "a million steps": ("load_histories.0", '{"name": "long", "factors": {"x": [' + "1," * 999_999 + "1]}}"),
    "a million histories": ("load_histories", "[" + ",".join(['{"name":"h","factors":{"x":[1]}}'] * 100_000) + "]"),
    "huge load": ("load_cases.0.loads.0", '{"force_n": [1e308, 1e308, 1e308], "faces": {"name": "x"}}'),
    "overflowing load": ("load_cases.0.loads.0", '{"force_n": [1e999, 0, 0], "faces": {"name": "x"}}'),
    "negative stiffness": ("material", '{"youngs_modulus_pa": -1e999}'),
    "deep selector": ("supports.0.faces", '{"not":' * 5000 + '{"name":"a"}' + "}" * 5000),
    "wide selector": ("supports.0.faces", '{"any":[' + ",".join(['{"name":"a"}'] * 100_000) + "]}"),
    "many ids": ("supports.0.faces", '{"face_ids":[' + ",".join(map(str, range(200_000))) + "]}"),
    "huge id": ("supports.0.faces", '{"face_ids":[' + "9" * 400 + "]}"),
    "true for a number": ("load_cases.0.loads.0", '{"force_n": [true, false, null], "faces": {"name": "x"}}'),
    "a model by path": ("model", '"../../../../etc/passwd"'),
    "a material by path": ("material", '"../../etc/passwd"'),
    "a name that moves": ("name", '"\\u202e../../../x\\u0000"'),
    "outputs": ("outputs", '["' + "x" * 100_000 + '"]'),
}


@pytest.mark.parametrize("name", VALUES)
def test_hostile_values_in_a_problem_are_refused(client: httpx.Client, mesh_id: str, name: str) -> None:
    path, value = VALUES[name]
    start = time.monotonic()
    response = send_json(client, changed(mesh_id, path, value))
    assert time.monotonic() - start < MOST_SECONDS
    told(response)
    assert len(response.content) < 20_000


def test_a_body_of_another_type_is_refused(client: httpx.Client, mesh_id: str) -> None:
    body = json.dumps(problem(mesh_id))
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        told(client.post("/v1/predictions", content=body, headers={"Content-Type": kind}))
        told(client.post("/v1/meshes", content=body, headers={"Content-Type": kind}))


def test_a_form_that_is_none_is_refused(client: httpx.Client) -> None:
    told(client.post("/v1/meshes", data={"file": "not a file"}))
    told(client.post("/v1/meshes", files={"other": ("a.step", b"x")}))
    told(client.post("/v1/meshes", files=[("file", (f"{index}.step", b"x")) for index in range(2000)]))
    told(client.post("/v1/meshes", files={"file": ("a.stl", stl(1))}, data={"length_unit": "x" * 100_000}))
    told(client.post("/v1/meshes", files={"file": ("a.stl", stl(1))}, data={"length_unit": "parsec"}))
    told(client.post("/v1/meshes", files={"file": ("a.stl", stl(1))}, data={"element_size_m": "1e-320"}))
    told(client.post("/v1/meshes", files={"file": ("a.stl", stl(1))}, data={"element_size_m": "1" * 100_000}))


def test_a_body_over_the_limit_is_413(client: httpx.Client) -> None:
    refused(post(client, "large.step", bytes(LIMIT_BYTES)), 413)
    refused(send_json(client, " " * (LIMIT_BYTES + 1)), 413)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/meshes/%00", "/v1/meshes/..%2f..%2fetc%2fpasswd", "/v1/predictions/%ff%fe",
        "/v1/predictions/" + "a" * 5000,
        "/v1/predictions?after=%00", "/v1/predictions?limit=" + "9" * 5000, "/v1/predictions?mesh=%00&status=done",
        "/v1/meshes?limit=-1", "/v1/meshes?limit=NaN", "/v1/meshes?after=" + "a" * 5000, "/v1/models/..%2f..%2fetc",
        "/v1/models/%00", "/page/..%2f..%2fapp.py", "/page/%2e%2e/%2e%2e/settings.py",
        "/v1//meshes", "/v1/meshes/../../etc",
        "/%2e%2e/%2e%2e/etc/passwd", "/v1/meshes/x/render.png?field=%00", "/v1/predictions/x/result.vtu?step=1e9",
    ],
)  # fmt: skip
def test_a_hostile_address_is_refused(client: httpx.Client, path: str) -> None:
    response = client.get(httpx.URL(str(client.base_url).rstrip("/") + path))
    if response.status_code == 200:
        # A filter that finds nothing is no error.
        assert response.json()[path.split("?")[0].rsplit("/", 1)[1]] == []
    else:
        told(response)


def test_every_refusal_is_problem_json(client: httpx.Client) -> None:
    """But for what is no HTTP at all: that is answered before the service sees it."""
    for method, path in (
        ("PUT", "/v1/meshes"),
        ("TRACE", "/v1/meshes"),
        ("POST", "/healthz"),
        ("GET", "/x"),
    ):
        response = client.request(method, path)
        assert 400 <= response.status_code < 500 and response.headers["content-type"] == PROBLEM_JSON, (method, path)
