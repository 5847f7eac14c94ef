"""`make demo` does the main job from end to end, and leaves nothing running when it cannot."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
PNG = b"\x89PNG\r\n"


def demo_command(part: Path, out: Path, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "api.demo",
        str(part),
        str(ROOT / "meshes" / "c_clamp.toml"),
        "--out",
        str(out),
        *options,
    ]


def address_in(text: str) -> str:
    """The address that the demonstration said its service was up at."""
    found = re.search(r"http://127\.0\.0\.1:\d+", text)
    assert found is not None, text
    return found.group()


def assert_nobody_listens(address: str) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz", timeout=2)


@pytest.mark.slow
def test_the_demonstration_reports_and_stops_its_service(tmp_path: Path) -> None:
    command = demo_command(ROOT / "meshes" / "c_clamp.step", tmp_path / "out")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    for wanted in ("safety yield", "clamp and release", "difference to the FEM solution"):
        assert wanted in done.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [history["name"] for history in summary["histories"]] == [
        "clamp and release",
        "overtightened, pushed sideways",
    ]
    for name in ("von_mises", "displacement", "plastic_strain", "setup"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(PNG)
    assert "<html" in (tmp_path / "out" / "report.html").read_text()[:500]
    assert b"UnstructuredGrid" in (tmp_path / "out" / "result.vtu").read_bytes()[:500]
    assert_nobody_listens(address_in(done.stdout))


@pytest.mark.slow
def test_a_broken_part_is_told_in_one_line_and_the_service_is_stopped(tmp_path: Path) -> None:
    broken = tmp_path / "broken.step"
    broken.write_text("ISO-10303-21; nothing of the kind")
    done = subprocess.run(demo_command(broken, tmp_path / "out"), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("demo: ") and "Traceback" not in done.stderr
    assert_nobody_listens(address_in(done.stdout))


@pytest.mark.slow
def test_a_terminated_demonstration_stops_its_service(tmp_path: Path) -> None:
    command = demo_command(ROOT / "meshes" / "c_clamp.step", tmp_path / "out", "--fidelity", "solved")
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, env={**os.environ})
        deadline = time.monotonic() + 240
        while "is up" not in (tmp_path / "said").read_text():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert_nobody_listens(address_in((tmp_path / "said").read_text()))
