"""The audit of dependencies fails where a vulnerability is known, and never takes silence for good news."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    specification = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["audit"] = module
    specification.loader.exec_module(module)
    return module


def good(name: str) -> dict[str, object]:
    return {"name": name, "version": "1.0", "vulns": []}


def bad(name: str, identifier: str) -> dict[str, object]:
    return {**good(name), "vulns": [{"id": identifier, "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}]}


def skipped(name: str) -> dict[str, object]:
    return {"name": name, "skip_reason": "Dependency not found on PyPI"}


def test_a_vulnerability_fails_and_is_named(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit.read_pip({"dependencies": [good("a"), bad("b", "PYSEC-2026-1")]}, None)
    assert audit.told([found], strict=False) == 1
    assert "VULNERABLE b 1.0: PYSEC-2026-1, fixed in 1.1" in capsys.readouterr().out


def test_what_is_well_passes(audit: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit.read_pip({"dependencies": [good("a"), skipped("ours")]}, None)
    assert audit.told([found], strict=True) == 0
    printed = capsys.readouterr().out
    assert "1 PyPI packages, 0 known" in printed and "NOT AUDITED, unknown to the service: ours" in printed


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ({"dependencies": [skipped("a"), skipped("b")]}, None),
        ({"dependencies": []}, None),
        (None, "no answer within 150 s"),
        ([], None),
    ],
)
def test_silence_is_told_and_fails_where_that_is_wanted(
    audit: ModuleType, answer: object, trouble: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit ends well where a registry answers 404 to everything: that must not read as "no vulnerability"."""
    found = audit.read_pip(answer, trouble)
    assert audit.told([found], strict=False) == 0
    assert audit.told([found], strict=True) == 1
    printed = capsys.readouterr().out
    assert "PyPI packages were NOT AUDITED" in printed and "0 known" not in printed


def test_npm_s_answers_are_read_alike(audit: ModuleType) -> None:
    flaw = {"severity": "high", "range": "<2"}
    good_answer = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 12}}}
    assert audit.read_npm(good_answer, None).audited == 12
    assert audit.read_npm({**good_answer, "vulnerabilities": {"x": flaw}}, None).found == ["x <2: high"]
    assert "405" in audit.read_npm({"message": "405 Method Not Allowed"}, None).trouble


def test_an_ignored_advisory_does_not_fail(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(audit.IGNORED, "CVE-2026-1", "the function is not called")
    assert not audit.read_pip({"dependencies": [bad("b", "PYSEC-2026-1")]}, None).found


def test_a_command_that_is_no_audit_is_trouble(audit: ModuleType, tmp_path: Path) -> None:
    answer, trouble = audit.answer_of([sys.executable, "-c", "import sys; sys.exit('no network')"], tmp_path)
    assert answer is None and trouble == "no network"


def test_the_checks_of_every_change_audit() -> None:
    assert "test: lint audit" in (ROOT / "Makefile").read_text()
