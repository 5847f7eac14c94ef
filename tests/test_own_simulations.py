"""The page on training with one's own simulations works as it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surrogate.data.dataset import open_dataset

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "own_simulations.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ccx") is None, reason="apt-get install calculix-ccx")
def test_the_documented_import_works(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "OUT": str(tmp_path), "PATH": path}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.rstrip().endswith("all checks passed")
    simulation = open_dataset(tmp_path / "data")[0]
    assert simulation.family == "wing_bracket" and simulation.history_count == 3
    # The hard landing yields at the bolts; CalculiX itself says 1.3 %.
    assert simulation.scalars.peak_plastic_strain.max() == pytest.approx(0.0129, rel=0.05)
