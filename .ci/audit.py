#!/usr/bin/env python3
"""Asks the advisory services of PyPI and npm about everything that is installed.

A known vulnerability ends with 1. Where a service cannot be reached, or knows none of the packages, that is said in
plain words, and passed over unless --strict: nothing is ever taken for audited that was not.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "api" / "web"
LIMIT_S = 150
# Advisories that do not concern this project, with the reason: {"PYSEC-2026-1": "the function is not called"}.
IGNORED: dict[str, str] = {}


@dataclass
class Audit:
    """What one service said.

    Attributes:
        kind: whose packages.
        audited: how many packages it knew.
        unknown: names of those it did not know.
        found: the vulnerabilities, a line each.
        trouble: why there is no answer.
    """

    kind: str
    audited: int = 0
    unknown: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    trouble: str | None = None


def answer_of(command: Sequence[str], directory: Path) -> tuple[object, str | None]:
    """The JSON that a command prints, or why there is none."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {LIMIT_S} s"
    try:
        return json.loads(done.stdout), None
    except ValueError:
        lines = (done.stderr or done.stdout).strip().splitlines()
        return None, lines[-1][:300] if lines else f"{command[0]} ended with {done.returncode} and said nothing"


def read_pip(answer: object, trouble: str | None) -> Audit:
    """What pip-audit said: packages without an entry at the service are skipped by it, which is no good news."""
    audit = Audit("PyPI", trouble=trouble)
    packages = answer.get("dependencies", []) if isinstance(answer, dict) else []
    for package in packages:
        if "skip_reason" in package:
            audit.unknown.append(package["name"])
            continue
        audit.audited += 1
        for flaw in package["vulns"]:
            if flaw["id"] not in IGNORED and not set(flaw.get("aliases", [])) & set(IGNORED):
                fixed = ", ".join(flaw.get("fix_versions", [])) or "no release yet"
                audit.found.append(f"{package['name']} {package['version']}: {flaw['id']}, fixed in {fixed}")
    if audit.trouble is None and not audit.audited:
        audit.trouble = f"the service knows none of {len(audit.unknown)} packages, so it is not the real one"
    return audit


def read_npm(answer: object, trouble: str | None) -> Audit:
    """What npm said."""
    audit = Audit("npm", trouble=trouble)
    if audit.trouble is None and not (isinstance(answer, dict) and "vulnerabilities" in answer):
        audit.trouble = str(answer.get("message", "no answer") if isinstance(answer, dict) else answer)[:300]
    elif isinstance(answer, dict):
        audit.audited = int(answer.get("metadata", {}).get("dependencies", {}).get("total", 0))
        for name, flaw in answer["vulnerabilities"].items():
            audit.found.append(f"{name} {flaw.get('range', '')}: {flaw.get('severity', '')}")
    return audit


def told(audits: Sequence[Audit], *, strict: bool) -> int:
    """Prints what was found and what was not asked; the exit code."""
    for audit in audits:
        if audit.trouble is not None:
            print(f"audit: {audit.kind} packages were NOT AUDITED: {audit.trouble}")
            continue
        print(f"audit: {audit.audited} {audit.kind} packages, {len(audit.found)} known vulnerabilities")
        if audit.unknown:
            print(f"audit: {audit.kind} packages NOT AUDITED, unknown to the service: {', '.join(audit.unknown)}")
        for line in audit.found:
            print(f"audit: VULNERABLE {line}")
    vulnerable = any(audit.found for audit in audits)
    return 1 if vulnerable or (strict and any(audit.trouble is not None for audit in audits)) else 0


def main() -> int:
    """Exit code 1 where a vulnerability is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--strict", action="store_true", help="fail where a service cannot be reached, too")
    strict = parser.parse_args().strict
    pip = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    audits = [read_pip(*answer_of(pip, ROOT))]
    if shutil.which("npm") is None:
        audits.append(Audit("npm", trouble="npm is not installed"))
    else:
        audits.append(read_npm(*answer_of(["npm", "audit", "--json"], PAGE)))
    return told(audits, strict=strict)


if __name__ == "__main__":
    sys.exit(main())
