"""A campaign that is killed and started again has every sample once."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from surrogate.data.campaign import ATTEMPTS, CampaignConfig, expected_bytes, run_campaign
from surrogate.data.campaign_index import read_outcomes
from surrogate.data.sample_outcome import SampleOutcome
from surrogate.data.sample_process import SampleProcess
from surrogate.data.simulate import SampleSize
from surrogate.errors import InfrastructureError, InputError


def _config(directory: Path, **changes: object) -> CampaignConfig:
    values: dict[str, object] = {
        "directory": directory, "families": ("rib_web", "l_bracket"), "part_count": 4,
        "histories": 2, "steps": 8, "coarse_share": 0.5, "workers": 1, **changes,
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
    process = SampleProcess(tmp_path, SampleSize(2, 8, 0.0))
    outcome = process.run("rib_web", 0, timeout_s=0.3)
    assert outcome.reason == "timed out" and outcome.seconds < 5
    process.close()


def test_a_sample_whose_process_dies_is_tried_again_and_given_up_after_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: dict[tuple[str, int], int] = {}

    def dies(self: SampleProcess, family: str, seed: int, timeout_s: float) -> SampleOutcome:
        tried[family, seed] = tried.get((family, seed), 0) + 1
        always = (family, seed) == ("l_bracket", 1)
        return SampleOutcome(family, seed, "crashed" if always or tried[family, seed] == 1 else "")

    monkeypatch.setattr(SampleProcess, "run", dies)
    assert run_campaign(_config(tmp_path)).rejected == {"crashed": 1}
    assert tried == {("rib_web", 0): 2, ("l_bracket", 0): 2, ("rib_web", 1): 2, ("l_bracket", 1): ATTEMPTS}


def test_a_directory_of_another_schema_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "campaign.json").write_text('{"schema": 1, "histories": 2, "steps": 8}')
    with pytest.raises(InputError, match="schema 1, this version writes 2; choose another name"):
        run_campaign(_config(tmp_path))


def _sizes(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.h5")}


def _descendants(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    direct = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [*direct, *(grandchild for child in direct for grandchild in _descendants(child))]


def _command(directory: Path) -> list[str]:
    return [
        sys.executable, "-m", "surrogate.cli", "campaign", "--directory", str(directory), "--parts", "6",
        "--family", "rib_web", "--family", "l_bracket", "--histories", "2", "--steps", "8", "--workers", "2",
        "--coarse-share", "0.5",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_a_campaign_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(_command(whole), check=True, capture_output=True)
    generator = np.random.default_rng(5)
    for _ in range(4):
        process = subprocess.Popen(_command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(generator.uniform(2.0, 5.0))
        for worker in _descendants(process.pid)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        time.sleep(generator.uniform(0.5, 2.0))
        process.kill()
        process.wait()
    subprocess.run(_command(killed), check=True, capture_output=True)
    # Nothing lost, nothing twice, and not one bit different.
    assert _sizes(killed) == _sizes(whole)
    rows, expected = (pq.read_table(directory / "index.parquet").to_pylist() for directory in (killed, whole))
    times = {"seconds", "mesh_s", "draw_s", "solve_s", "gather_s", "write_s"}
    for row, other in zip(rows, expected, strict=True):
        assert {k: v for k, v in row.items() if k not in times} == {k: v for k, v in other.items() if k not in times}
    assert len(rows) == 6 and any(row["coarse"] for row in rows)
    assert not list(killed.glob(".*.part"))


@pytest.mark.slow
def test_the_disk_announced_is_the_disk_taken(tmp_path: Path) -> None:
    config = CampaignConfig(directory=tmp_path, part_count=6, workers=2)
    taken = run_campaign(config).bytes
    # Parts differ by a factor of three in their points; the mean of six is within a factor of two of the mean of all.
    assert 0.5 < taken / expected_bytes(config) < 2.0
