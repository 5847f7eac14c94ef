"""Without a key the service is open to its own machine alone, and once there was one it never opens again."""

import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import HTTPConnection

from api import keys as keys_room
from api import security
from api.app import serve
from api.keys import Keys, open_keys
from api.security import address_of, needed_scope, refuse_if_exposed
from api.settings import Settings
from api.tables import now
from surrogate import InfrastructureError
from tests.api.in_process import started
from tests.api.service_process import refused


def settings(directory: Path, **changes: object) -> Settings:
    return Settings.model_validate({"data_directory": directory, **changes})


def wait_for_status(client: httpx.Client, status: int, path: str = "/v1/materials") -> float:
    """How long it takes until an address answers so, s; a cache may delay it for as long as it trusts itself."""
    begun = time.monotonic()
    while client.get(path).status_code != status:
        assert time.monotonic() - begun < 5 + 2 * security.TRUST_S, f"not {status} after {time.monotonic() - begun} s"
        time.sleep(0.1)
    return time.monotonic() - begun


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_loopback_needs_no_key(tmp_path: Path, host: str) -> None:
    refuse_if_exposed(settings(tmp_path, host=host))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.0.2.7", "example.org", "localhost.example.org", "127.0.0.1.x"]
)
def test_other_addresses_are_refused_at_start_with_the_remedy(tmp_path: Path, host: str) -> None:
    with pytest.raises(InfrastructureError, match="surrogate keys create --name"):
        serve(settings(tmp_path, host=host))


def test_with_a_key_any_address_will_do(tmp_path: Path) -> None:
    exposed = settings(tmp_path, host="0.0.0.0")
    keys = open_keys(exposed)
    row = keys.create("one", ["read"]).row
    refuse_if_exposed(exposed)
    keys.revoke(row.id)
    # Nobody gets in then; whoever wants to makes another key.
    refuse_if_exposed(exposed)


def test_the_first_key_closes_a_service_that_runs_and_revoking_it_does_not_open_it(tmp_path: Path) -> None:
    with started(tmp_path) as service, service.client() as anybody:
        assert anybody.get("/v1/materials").status_code == 200
        keys = open_keys(settings(tmp_path))
        issued = keys.create("one", ["read"])
        assert wait_for_status(anybody, 401) < security.TRUST_S + 2
        with service.client(issued.text) as holder:
            assert holder.get("/v1/materials").status_code == 200
            keys.revoke(issued.row.id)
            assert wait_for_status(holder, 401) < security.TRUST_S + 2
        refused(anybody.get("/v1/materials"), 401)
    with started(tmp_path) as service, service.client() as anybody:
        refused(anybody.get("/v1/materials"), 401)


def test_an_open_service_answers_its_own_machine_only(tmp_path: Path) -> None:
    """Whatever a proxy or a mistake in listening brings in."""
    with started(tmp_path) as service:
        for address in ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7", "testclient"):
            with service.client(address=(address, 1)) as client:
                assert "surrogate keys create" in refused(client.get("/v1/materials"), 403)
                assert client.get("/healthz").status_code == 200
        with service.client(**{"X-Forwarded-For": "127.0.0.1"}) as client:
            refused(client.get("/v1/materials"), 403)
        with service.client(address=("::1", 1), host="[::1]:8000") as client:
            assert client.get("/v1/materials").status_code == 200


def test_a_name_that_leads_here_is_not_this_machine(tmp_path: Path) -> None:
    """DNS rebinding: the page of a stranger asks its own name, which meanwhile means 127.0.0.1."""
    with started(tmp_path) as service:
        for host in ("rebound.example", "localhost.example:8000", "127.0.0.1.example", "0.0.0.0:8000", "192.0.2.7"):
            with service.client(host=host) as client:
                refused(client.get("/v1/predictions"), 421)
        for host in ("localhost", "LOCALHOST:9", "localhost.", "127.0.0.1", "127.9.9.9:80"):
            with service.client(host=host) as client:
                assert client.get("/v1/predictions").status_code == 200, host


def test_the_pages_of_others_may_not_ask_an_open_service(tmp_path: Path) -> None:
    """A browser sends a form or a picture's address from any page to this machine, and says which page that is."""
    here = "http://127.0.0.1:8000"
    with started(tmp_path) as service, service.client() as client:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:3000", "https://127.0.0.1:8000", ""):
            refused(client.post("/v1/predictions/x/cancel", headers={"Origin": origin}), 403)
            refused(client.get("/v1/predictions", headers={"Origin": origin}), 403)
        for site in ("cross-site", "same-site"):
            refused(client.get("/v1/predictions", headers={"Sec-Fetch-Site": site}), 403)
        refused(client.post("/v1/predictions/x/cancel", headers={"Origin": here, "Sec-Fetch-Site": "same-origin"}), 404)
        assert client.get("/v1/predictions", headers={"Sec-Fetch-Site": "none"}).status_code == 200


def test_other_origins_are_closed_unless_the_operator_names_them(tmp_path: Path) -> None:
    asking = {"Origin": "https://parts.example", "Access-Control-Request-Method": "POST"}
    with started(tmp_path / "closed") as service, service.client() as client:
        assert not [name for name in client.options("/v1/meshes", headers=asking).headers if "access-control" in name]
    named = "https://parts.example, https://b.example/"
    with started(tmp_path / "open", allowed_origins=named) as service, service.client() as client:
        allowed = client.options("/v1/meshes", headers=asking)
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://parts.example"
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        answer = client.get("/v1/materials", headers={"Origin": "https://parts.example"})
        assert answer.status_code == 200 and "Location" in answer.headers["Access-Control-Expose-Headers"]
        refused(client.get("/v1/materials", headers={"Origin": "https://evil.example"}), 403)


def test_the_database_is_asked_about_a_key_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests come by hundreds; and after that while a revoked key is refused."""
    issued = open_keys(settings(tmp_path)).create("one", ["read"])
    asked: list[str] = []
    find = Keys.find

    def counted(self: Keys, key_id: str) -> object:
        asked.append(key_id)
        return find(self, key_id)

    monkeypatch.setattr(Keys, "find", counted)
    with started(tmp_path) as service, service.client(issued.text) as client:
        begun = time.monotonic()
        for _ in range(20):
            assert client.get("/v1/materials").status_code == 200
        assert len(asked) <= 1 + (time.monotonic() - begun) / security.TRUST_S
        wait_until = time.monotonic() + security.TRUST_S + 0.2
        while time.monotonic() < wait_until:
            time.sleep(0.1)
        assert client.get("/v1/materials").status_code == 200
        assert len(asked) >= 2


def test_a_database_that_is_away_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as a wrong key, which would have people make new ones."""
    issued = open_keys(settings(tmp_path)).create("one", ["read"])

    def away(self: Keys, key_id: str) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    with started(tmp_path) as service, service.client(issued.text) as client:
        monkeypatch.setattr(Keys, "find", away)
        response = client.get("/v1/materials")
        assert "database" in refused(response, 503) and response.headers["Retry-After"]
        monkeypatch.undo()
        assert client.get("/v1/materials").status_code == 200


def test_guessing_keys_is_slowed_down_and_keeps_nobody_else_out(tmp_path: Path) -> None:
    issued = open_keys(settings(tmp_path)).create("one", ["read"])
    newer = open_keys(settings(tmp_path)).create("two", ["read"])
    guess = f"{issued.row.id}.{'A' * 43}"
    with started(tmp_path, wrong_keys_per_minute=5) as service:
        with service.client(issued.text) as known, service.client(guess) as guesser:
            assert known.get("/v1/materials").status_code == 200
            for _ in range(5):
                refused(guesser.get("/v1/materials"), 401)
            response = guesser.get("/v1/materials")
            refused(response, 429)
            assert 0 < int(response.headers["Retry-After"]) <= 60
            # A key that was good here goes on, beside the guesser and longer than it is trusted without asking.
            assert known.get("/v1/materials").status_code == 200
        # From there even a right guess is not told from a wrong one.
        with service.client(newer.text) as unknown:
            refused(unknown.get("/v1/materials"), 429)
        with service.client(newer.text, address=("192.0.2.7", 1)) as elsewhere:
            assert elsewhere.get("/v1/materials").status_code == 200


def test_keys_end_when_they_expire_and_change_with_an_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = open_keys(settings(tmp_path))
    issued = keys.create("one", ["read"], expires_at=now() + timedelta(hours=2))
    rotated = keys.rotate(issued.row.id, timedelta(hours=1))
    assert rotated.text != issued.text and rotated.row.id == issued.row.id
    with started(tmp_path) as service, service.client(issued.text) as old, service.client(rotated.text) as new:
        later = timedelta()
        monkeypatch.setattr(keys_room, "now", lambda: now() + later)
        assert [client.get("/v1/materials").status_code for client in (old, new)] == [200, 200]
        later = timedelta(minutes=61)
        assert [client.get("/v1/materials").status_code for client in (old, new)] == [401, 200]
        later = timedelta(minutes=121)
        assert [client.get("/v1/materials").status_code for client in (old, new)] == [401, 401]


def test_a_new_secret_is_taken_at_once(tmp_path: Path) -> None:
    """The row that is remembered has the old one: it must not make the new one wait."""
    keys = open_keys(settings(tmp_path))
    issued = keys.create("one", ["read"])
    with started(tmp_path) as service, service.client(issued.text) as old:
        assert old.get("/v1/materials").status_code == 200
        with service.client(keys.rotate(issued.row.id).text) as new:
            assert new.get("/v1/materials").status_code == 200
        refused(old.get("/v1/materials"), 401)


@pytest.mark.parametrize(
    ("host", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
    ],
)
def test_whoever_has_a_line_has_one_address(host: str, counted_as: str) -> None:
    """Otherwise a limit by address would be none for IPv6."""
    assert address_of(HTTPConnection({"type": "http", "client": (host, 1), "headers": []})) == counted_as


def test_every_method_but_asking_needs_to_run() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "FOO"):
        assert needed_scope(method, "/") == "run" == needed_scope(method, "/v1/meshes")
        assert needed_scope(method, "/metrics") == "admin"
    for path in ("/", "/healthz", "/page/app.js"):
        assert needed_scope("GET", path) is None
    for path in ("/v1/meshes", "/page", "/docs", "/healthz/", "//", "/unknown"):
        assert needed_scope("GET", path) == "read"
