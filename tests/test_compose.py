"""The container files hold what they promise: checked from their text, which needs no container engine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# https://github.com/compose-spec/compose-spec: the keys of a service that this file may use.
SERVICE_KEYS = {
    "build", "cap_drop", "depends_on", "deploy", "environment", "healthcheck", "image", "networks", "ports", "profiles",
    "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip


@pytest.fixture(scope="module")
def compose() -> dict[str, dict[str, dict[str, object]]]:
    loaded = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_services_have_known_keys_and_refer_to_what_exists(compose: dict[str, dict[str, dict[str, object]]]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"services", "networks", "volumes"}
    assert set(compose["services"]) == {"api", "api-cpu", "postgres", "worker", "worker-cpu"}
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(compose["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name


def test_the_gpu_is_reserved_by_default_and_not_in_the_cpu_profile(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    for name in ("api", "worker"):
        service = compose["services"][name]
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
        assert "profiles" not in service
        twin = compose["services"][f"{name}-cpu"]
        assert "deploy" not in twin and twin["profiles"] == ["cpu"]


def test_every_secret_must_be_given() -> None:
    """`${VAR:?}` stops with a message where a default would start with a password that everybody knows."""
    secret_lines = [
        line for line in COMPOSE.read_text().splitlines() if "PASSWORD" in line and not line.startswith("#")
    ]
    assert secret_lines
    for line in secret_lines:
        assert re.search(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", line), line


def test_services_run_read_only_without_capabilities_and_workers_without_a_way_out(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    for name in ("api", "api-cpu", "worker", "worker-cpu"):
        service = compose["services"][name]
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name.startswith("worker"):
            assert service["networks"] == ["inside"] and "ports" not in service
    assert compose["networks"]["inside"] == {"internal": True}


def test_worker_names_are_stable_and_unique(compose: dict[str, dict[str, dict[str, object]]]) -> None:
    """Two processes of one name would take up each other's jobs."""
    names = [
        service["environment"]["SURROGATE_WORKER_ID"]
        for name, service in compose["services"].items()
        if name != "postgres"
    ]
    assert len(set(names)) == len(names)


def test_the_environment_is_what_the_settings_read(compose: dict[str, dict[str, dict[str, object]]]) -> None:
    from api.settings import Settings

    known = {f"SURROGATE_{name.upper()}" for name in Settings.model_fields}
    given = {key for service in compose["services"].values() for key in service["environment"]}
    given |= set(re.findall(r"^\s+(SURROGATE_\w+)=", DOCKERFILE, re.MULTILINE))
    assert {key for key in given if key.startswith("SURROGATE_")} <= known


def test_the_image_is_cuda_and_runs_as_an_ordinary_user_with_a_health_check() -> None:
    assert re.search(r"^ARG BASE=nvidia/cuda:\S+$", DOCKERFILE, re.MULTILINE)
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert users and users[-1] not in {"root", "0"}
    assert "HEALTHCHECK" in DOCKERFILE and "/healthz" in DOCKERFILE
    assert re.search(r'CMD \["surrogate", "serve", "--host", "0\.0\.0\.0"', DOCKERFILE)


def test_the_image_has_the_system_packages_that_the_makefile_installs() -> None:
    listed = re.search(r"SYSTEM_PACKAGES := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())
    assert listed is not None
    for package in listed.group(1).replace("\\", " ").split():
        assert package in DOCKERFILE, f"{package} is installed by the Makefile and not in the image"


def test_compose_itself_accepts_the_file_and_insists_on_the_secret() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("no docker compose client here")
    command = [docker, "compose", "--file", str(COMPOSE), "config", "--quiet"]
    clean = {key: value for key, value in os.environ.items() if key != "POSTGRES_PASSWORD"}
    assert subprocess.run(command, capture_output=True, env={**clean, "POSTGRES_PASSWORD": "x"}).returncode == 0
    assert subprocess.run(command, capture_output=True, env=clean).returncode != 0
