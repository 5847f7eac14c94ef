"""Every verification case stays within its bar. The cases tell their laws, meshes and sources; docs/verification.md
shows their figures."""

import shutil
from pathlib import Path

import pytest

from tests.verification.cases import CASES
from tests.verification.verified import Case

WITHOUT_CALCULIX = pytest.mark.skipif(
    shutil.which("ccx") is None, reason="CalculiX is not installed (apt-get install calculix-ccx)"
)


def marked(case: Case) -> object:
    marks = [pytest.mark.slow] * case.slow + [WITHOUT_CALCULIX] * case.needs_calculix
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_the_error_is_within_the_bar(case: Case) -> None:
    found = case.run()
    assert found.error <= found.bar, f"{found.law}: {found.result:g} for {found.target:g} {found.unit}. {found.found}"


def test_every_case_that_is_written_is_run() -> None:
    folder = Path(__file__).parent
    written = {
        line.split("def ")[1].split("(")[0]
        for path in folder.glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def ") and line.endswith("() -> Verified:")
    }
    assert written == {case.name for case in CASES}
    assert len(written) == len(CASES)
