"""The commands that the documentation shows work as they stand."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.api.service_process import ROOT, Server

DOCUMENT = ROOT / "docs" / "curl.md"


@pytest.mark.slow
def test_the_documented_commands_work(server: Server, tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE))
    environment = {**os.environ, "SERVICE": server.url, "OUT": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {history["name"] for history in summary["histories"]} == {"limit then unload", "ultimate then unload"}
    assert (tmp_path / "von_mises.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "result.vtu").read_bytes() != (tmp_path / "first-step.vtu").read_bytes()
    assert '"difference":{' in done.stdout
    assert "event: end" in done.stdout
    points = load_file(tmp_path / "surface.safetensors")["points"]
    assert load_file(tmp_path / "fields.safetensors")["displacement"].shape == (6, *points.shape)
