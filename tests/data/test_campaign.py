"""A campaign that is killed and started again has every sample once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from surrogate.data.campaign import CampaignConfig, read_outcomes, run_campaign
from surrogate.data.sample_process import SampleOutcome, SampleProcess
from surrogate.errors import InfrastructureError, InputError


def _config(directory: Path, **changes: object) -> CampaignConfig:
    values: dict[str, object] = {
        "directory": directory, "families": ("rib_web", "l_bracket"), "part_count": 4,
        "histories": 2, "steps": 8, "workers": 1, **changes,
    }  # fmt: skip
    return CampaignConfig(**values)  # type: ignore[arg-type]


def _fake_run(self: SampleProcess, family: str, seed: int, timeout_s: float) -> SampleOutcome:
    directory = Path(str(self._request["directory"]))
    if family == "rib_web" and seed == 1:
        return SampleOutcome(family, seed, "timed out", "killed")
    path = directory / f"{family}-{seed:06d}.h5"
    assert not path.exists(), "solved twice"
    path.write_bytes(b"a simulation")
    return SampleOutcome(family, seed, histories=2, seconds=1.0, bytes=12)


def test_rejects_are_counted_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleProcess, "run", _fake_run)
    states = []
    first = run_campaign(_config(tmp_path), states.append)
    assert (first.stored, first.rejected) == (3, {"timed out": 1})
    assert [state.done for state in states] == [1, 2, 3, 4]
    again = run_campaign(_config(tmp_path, part_count=6), states.append)
    assert (again.stored, again.rejected) == (5, {"timed out": 1})
    assert len(states) == 6
    rows = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert len(rows) == 6 and {row["file"] for row in rows if row["reason"]} == {""}


def test_a_lost_file_is_solved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleProcess, "run", _fake_run)
    run_campaign(_config(tmp_path))
    (tmp_path / "l_bracket-000001.h5").unlink()
    assert ("l_bracket", 1) not in read_outcomes(tmp_path)
    assert run_campaign(_config(tmp_path)).stored == 3


def test_other_settings_in_the_same_directory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleProcess, "run", _fake_run)
    run_campaign(_config(tmp_path))
    with pytest.raises(InputError, match="choose another name"):
        run_campaign(_config(tmp_path, steps=10))


def test_a_campaign_larger_than_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="GB are free"):
        run_campaign(_config(tmp_path, part_count=200_000, histories=1000, steps=1000))


def test_a_sample_over_its_time_is_killed_and_named(tmp_path: Path) -> None:
    process = SampleProcess(tmp_path, 2, 8)
    outcome = process.run("rib_web", 0, timeout_s=0.3)
    assert outcome.reason == "timed out" and outcome.seconds < 5
    process.close()


@pytest.mark.slow
def test_killed_campaign_resumes_without_loss_or_double(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "surrogate.data.campaign", "--directory", str(tmp_path), "--parts", "4",
        "--families", "rib_web", "l_bracket", "--histories", "2", "--steps", "8", "--workers", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # The worker ends with its sample once its parent is gone; then nothing but the resumed campaign writes.
    _wait_until_quiet(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    assert before
    seen: list[tuple[str, int]] = []
    summary = run_campaign(_config(tmp_path), lambda state: seen.append((state.last.family, state.last.seed)))
    assert summary.stored + sum(summary.rejected.values()) == 4
    assert len(seen) == len(set(seen)) == 4 - len(before)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())
    assert not list(tmp_path.glob(".*.part"))


def _wait_until_quiet(directory: Path) -> None:
    quiet_since, held = time.monotonic(), set(directory.iterdir())
    while time.monotonic() - quiet_since < 15:
        time.sleep(0.2)
        if set(directory.iterdir()) != held:
            quiet_since, held = time.monotonic(), set(directory.iterdir())
