"""What browsers and logs are told, and that names which users choose stay text wherever they appear."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.database import open_database
from api.records import Records
from api.settings import Settings
from api.tables import MeshRow
from api.telemetry import configure_logs
from surrogate.serving.report import write_report
from tests.api.in_process import Service, started
from tests.api.service_process import ROOT
from tests.serving.answers import beam, beam_predicted

HOSTILE = 'x"><script>alert(1)</script>\r\nSet-Cookie: a=b\r\n{{7*7}}\u202e/../../etc/passwd'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with started(tmp_path_factory.mktemp("headers")) as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["/", "/page/app.js", "/healthz", "/v1/materials", "/v1/meshes/x", "/nothing", "/metrics"]
)
def test_every_answer_keeps_browsers_from_misusing_it(service: Service, path: str) -> None:
    with service.client() as client:
        headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy and "unsafe" not in policy
    assert "*" not in policy and "http" not in policy
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers
    if path.startswith("/v1/") or path == "/metrics":
        assert headers["Cache-Control"] == "no-store"


def test_refusals_and_failures_have_the_headers_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are answered elsewhere than what goes well, and are HTML's way in where they are forgotten."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Records, "predictions", broken)
    with service.client() as client, service.client(host="evil.example") as misled:
        for response, status in ((client.get("/v1/predictions"), 500), (misled.get("/v1/materials"), 421)):
            assert response.status_code == status and "secret" not in response.text
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["Content-Security-Policy"] and response.headers["X-Request-ID"]


def test_the_page_s_own_files_are_all_that_its_policy_needs(service: Service) -> None:
    """No inline script or style, and nothing from elsewhere: the policy would refuse them, and the page break."""
    with service.client() as client:
        page = client.get("/")
    assert page.status_code == 200 and "text/html" in page.headers["content-type"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page.text)
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert addresses and all(not re.match(r"\w+:|//", address) for address in addresses)


def test_secure_transport_is_insisted_on_where_it_is_used(service: Service) -> None:
    with service.client() as client:
        assert "Strict-Transport-Security" not in client.get("/healthz").headers
        assert client.get("https://127.0.0.1/healthz").headers["Strict-Transport-Security"]


def test_a_hostile_name_stays_text_in_a_report(tmp_path: Path) -> None:
    from dataclasses import replace

    problem = replace(beam(), name=HOSTILE)
    report = write_report(problem, beam_predicted(), tmp_path).read_text()
    assert "<script" not in report.lower() and "49" not in re.findall(r"<title>(.*?)</title>", report, re.DOTALL)[0]
    assert "&lt;script&gt;" in report


def test_a_report_runs_nothing(service: Service) -> None:
    """What might have got into one after all does not run, and cannot ask the service with the reader's rights."""
    from starlette.datastructures import MutableHeaders

    from api.gate import protect

    headers = MutableHeaders({"content-type": "text/html; charset=utf-8"})
    protect(headers, {"path": "/v1/predictions/x/report"})
    directives = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in directives and "sandbox" in directives
    assert not any(directive.startswith("script-src") for directive in directives)
    template = (ROOT / "surrogate" / "serving" / "report.html.j2").read_text()
    assert "<script" not in template and not re.search(r"(?:src|href)=\"(?:https?:)?//", template)


def test_a_hostile_name_stays_a_name_in_the_headers_of_a_download(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    with started(tmp_path) as service, service.client() as client:
        records = Records(open_database(settings.metadata_url))
        records.add(MeshRow(id="hostile", name=HOSTILE[:255], suffix=".step", status="failed", error={}))
        place = tmp_path / "blobs" / "meshes" / "hostile"
        place.mkdir(parents=True)
        (place / "part.step").write_bytes(b"<script>alert(1)</script>")
        response = client.get("/v1/meshes/hostile/content")
    assert response.status_code == 200 and "Set-Cookie" not in response.headers
    assert response.headers["content-type"] == "application/octet-stream"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment") and not re.search(r"[\r\n<>]", disposition)


@pytest.fixture
def restored_logs() -> Iterator[None]:
    yield
    configure_logs(Settings())


@pytest.mark.parametrize("form", ["json", "text"])
def test_nobody_writes_a_line_of_the_log(
    restored_logs: None, tmp_path: Path, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a client sends appears inside one line, or not at all: a forged line would hide what happened."""
    forged = '{"event": "forged", "status": 200}'
    with started(tmp_path, log_format=form) as service, service.client() as client:
        for path in (f"/v1/x%0a{forged}", f"/v1/x%0d%0a{forged}", "/v1/x%1b[2J", "/v1/x%e2%80%a8y"):
            client.get(path)
        client.get("/v1/materials", headers={"X-Request-ID": "a b"})
    lines = capfd.readouterr().err.splitlines()
    assert not [line for line in lines if line.lstrip().startswith(forged[:20])]
    assert not any("\x1b[2J" in line for line in lines)
    if form == "json":
        assert all("event" in json.loads(line) for line in lines if line)
