"""The container files hold what they promise: checked from their text, which needs no container engine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from api.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
TEXT = COMPOSE.read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
OURS = ("api", "worker", "worker-cpu")
Service = dict[str, object]


@pytest.fixture(scope="module")
def compose() -> dict[str, dict[str, Service]]:
    loaded = yaml.safe_load(TEXT)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, dict[str, Service]]) -> dict[str, Service]:
    return compose["services"]


def part_of(service: Service, *names: str) -> object:
    """What stands under nested names."""
    found: object = service
    for name in names:
        assert isinstance(found, dict), names
        found = found[name]
    return found


def seconds(text: object) -> float:
    assert isinstance(text, str) and text.endswith("s")
    return float(text[:-1])


def test_services_refer_to_what_exists(compose: dict[str, dict[str, Service]]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"services", "networks", "volumes"}
    assert set(compose["services"]) == {"postgres", *OURS}
    for name, service in compose["services"].items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(compose["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name


def test_a_profile_chooses_where_the_model_runs(services: dict[str, Service]) -> None:
    """The HTTP process and Postgres are needed by both; a worker that finds no GPU driver would not start."""
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "postgres": None,
        "api": None,
        "worker": ["gpu"],
        "worker-cpu": ["cpu"],
    }
    (device,) = part_of(services["worker"], "deploy", "resources", "reservations", "devices")  # type: ignore[misc]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    for name in ("api", "worker-cpu", "postgres"):
        assert "reservations" not in part_of(services[name], "deploy", "resources")  # type: ignore[operator]
    assert part_of(services["worker-cpu"], "environment", "SURROGATE_DEVICE") == "cpu"


def test_every_service_tells_whether_it_is_well(services: dict[str, Service]) -> None:
    for name, service in services.items():
        check = service["healthcheck"]
        assert isinstance(check, dict) and check["test"][0] == "CMD", name
        assert seconds(check["timeout"]) <= seconds(check["interval"]), name
    assert "/healthz" in str(services["api"]["healthcheck"])
    assert "api.worker_health" in str(services["worker"]["healthcheck"])
    assert part_of(services["api"], "depends_on", "postgres", "condition") == "service_healthy"


def test_every_service_is_confined(services: dict[str, Service]) -> None:
    """Whoever breaks into one finds nothing to write, no right to gain, and not all of the machine."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"] and "cap_add" not in service and "privileged" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"memory", "cpus"} <= set(part_of(service, "deploy", "resources", "limits")), name  # type: ignore[call-overload]
        assert any(place.startswith("/tmp") for place in service["tmpfs"]), name  # type: ignore[attr-defined]
        assert not any(volume.startswith((".", "/")) for volume in service["volumes"]), name  # type: ignore[attr-defined]
    assert all(services[name]["pids_limit"] for name in OURS)
    # Ours is an ordinary user by the image.
    assert services["postgres"]["user"] not in ("root", "0")


def test_every_service_comes_back_and_ends_with_care(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        # Longer than what is being done is waited for; after that it is killed.
        assert seconds(service["stop_grace_period"]) >= Settings().drain_s + 15, name
        assert part_of(service, "logging", "options", "max-size"), f"{name}: its log would fill the disk"


def test_only_the_http_process_is_reached_and_only_from_this_machine(
    compose: dict[str, dict[str, Service]], services: dict[str, Service]
) -> None:
    assert compose["networks"]["inside"] == {"internal": True}
    for name, service in services.items():
        ports = service.get("ports", [])
        assert bool(ports) == (name == "api"), name
        assert all(str(port).startswith("127.0.0.1:") for port in ports), name  # type: ignore[attr-defined]
        assert name == "api" or service["networks"] == ["inside"], name


def test_no_secret_stands_in_the_file(services: dict[str, Service]) -> None:
    """`${VAR:?}` stops with a message where a default would start with a password that everybody knows."""
    lines = [line for line in TEXT.splitlines() if "PASSWORD" in line and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.search(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", line), line
    for name, service in services.items():
        for key, value in part_of(service, "environment").items():  # type: ignore[attr-defined]
            if re.search(r"SECRET|KEY|TOKEN", key):
                assert value is None, f"{name}: {key}"
    given = (ROOT / "docs" / "compose.env").read_text()
    assert re.search(r"^POSTGRES_PASSWORD=$", given, re.MULTILINE)


def test_workers_are_called_after_their_containers(services: dict[str, Service]) -> None:
    """So that any number may be started: two of one name would take up each other's jobs."""
    for name, service in services.items():
        assert "SURROGATE_WORKER_ID" not in part_of(service, "environment"), name  # type: ignore[operator]
        assert "container_name" not in service and "hostname" not in service, name
    assert part_of(services["api"], "environment", "SURROGATE_WORKERS") == "0"
    for name in ("worker", "worker-cpu"):
        assert services[name]["command"] == ["surrogate", "worker"]


def test_the_environment_is_what_the_settings_read(services: dict[str, Service]) -> None:
    known = {f"SURROGATE_{name.upper()}" for name in Settings.model_fields}
    given = {key for service in services.values() for key in part_of(service, "environment")}  # type: ignore[attr-defined]
    given |= set(re.findall(r"^\s+(SURROGATE_\w+)=", DOCKERFILE, re.MULTILINE))
    assert {key for key in given if key.startswith("SURROGATE_")} <= known
    variables = set(re.findall(r"\$\{(\w+)", TEXT)) | {key for key in given if f"  {key}:\n" in TEXT}
    offered = set(re.findall(r"^(?:# )?([A-Z]\w+)=", (ROOT / "docs" / "compose.env").read_text(), re.MULTILINE))
    assert offered <= variables


def test_the_image_is_cuda_and_runs_as_an_ordinary_user_with_a_health_check() -> None:
    assert re.search(r"^ARG BASE=nvidia/cuda:\S+$", DOCKERFILE, re.MULTILINE)
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert users and users[-1] not in {"root", "0"}
    assert "HEALTHCHECK" in DOCKERFILE and "/healthz" in DOCKERFILE
    assert re.search(r'CMD \["surrogate", "serve", "--host", "0\.0\.0\.0"', DOCKERFILE)
    # `python -m` looks for modules where it is started, and strangers' files are kept in /data.
    assert re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == "/"


def test_the_image_has_the_system_packages_that_the_makefile_installs() -> None:
    listed = re.search(r"SYSTEM_PACKAGES := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())
    assert listed is not None
    for package in listed.group(1).replace("\\", " ").split():
        assert package in DOCKERFILE, f"{package} is installed by the Makefile and not in the image"


def ignored(path: str) -> bool:
    """As docker reads .dockerignore: the last pattern that matches a path or a folder above it decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").strip()
        if not pattern or pattern.startswith("#"):
            continue
        above = [path, *(str(parent) for parent in Path(path).parents)]
        if any(fnmatch(each, pattern.removeprefix("**/")) or fnmatch(each, pattern) for each in above):
            verdict = not line.startswith("!")
    return verdict


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("surrogate/cli/__init__.py", True), ("api/web/dist/index.html", True), ("api/app.py", True),
        ("pyproject.toml", True), ("api/web/node_modules/three/package.json", False), ("tests/conftest.py", False),
        (".env", False), (".git/config", False), ("api/web/src/main.ts", False),
    ],
)  # fmt: skip
def test_the_image_gets_what_it_runs_and_no_secret(path: str, kept: bool) -> None:
    assert ignored(path) is not kept


def compose_commands() -> Iterator[list[str]]:
    """The clients that are here; neither needs an engine to read a file."""
    if shutil.which("docker-compose"):
        yield ["docker-compose"]
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        yield [docker, "compose"]


def read_by_compose(*words: str, **environment: str) -> list[subprocess.CompletedProcess[str]]:
    clean = {key: value for key, value in os.environ.items() if key != "POSTGRES_PASSWORD"}
    commands = [[*command, "--project-directory", str(ROOT), *words] for command in compose_commands()]
    if not commands:
        pytest.skip("no client of docker compose here")
    return [subprocess.run(each, capture_output=True, text=True, env={**clean, **environment}) for each in commands]


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_compose_itself_accepts_the_file(profile: str) -> None:
    words = ["--file", str(COMPOSE), "--profile", profile, "config"]
    for done in read_by_compose(*words, POSTGRES_PASSWORD="x"):
        assert done.returncode == 0, done.stderr
        assert "postgresql+psycopg://surrogate:x@postgres" in done.stdout


def test_compose_insists_on_the_secret() -> None:
    for done in read_by_compose("--file", str(COMPOSE), "config"):
        assert done.returncode != 0 and "POSTGRES_PASSWORD" in done.stderr


def test_the_documented_overrides_are_read_with_it(tmp_path: Path) -> None:
    """What docs/operations.md shows fits the file that it changes."""
    shown = re.findall(r"^```yaml\n(.*?)^```", OPERATIONS, re.DOTALL | re.MULTILINE)
    assert shown
    for number, text in enumerate(shown):
        path = tmp_path / f"override-{number}.yml"
        path.write_text(text)
        assert set(yaml.safe_load(text)["services"]) <= {"postgres", *OURS}
        for done in read_by_compose("--file", str(COMPOSE), "--file", str(path), "config", POSTGRES_PASSWORD="x"):
            assert done.returncode == 0, done.stderr
