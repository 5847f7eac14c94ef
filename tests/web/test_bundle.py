"""The page that is committed is the page that its sources make, and it needs nothing from elsewhere."""

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "api" / "web"
DIST = WEB / "dist"
TOOLS = ("build.mjs", "package-lock.json", "package.json", "tsconfig.json")


def digest_of_sources() -> str:
    """As `build.mjs` makes it, so that no npm is needed to see that a bundle is stale."""
    names = sorted([*TOOLS, *(f"src/{path.name}" for path in (WEB / "src").iterdir())])
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0".encode() + (WEB / name).read_bytes() + b"\0")
    return digest.hexdigest()


class Links(HTMLParser):
    """Addresses and inline code of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.addresses += [value for name in ("href", "src") if (value := given.get(name))]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


@pytest.mark.parametrize("name", ["app.js", "app.css"])
def test_a_bundle_is_made_of_the_present_sources(name: str) -> None:
    first = (DIST / name).read_text(encoding="utf-8").splitlines()[0]
    assert first == f"/* sources sha256:{digest_of_sources()} */", "the bundle is stale: run `make web` and commit dist"


@pytest.mark.parametrize("name", ["index.html", "icon.svg"])
def test_what_is_only_copied_is_the_same(name: str) -> None:
    assert (DIST / name).read_bytes() == (WEB / "src" / name).read_bytes(), "run `make web` and commit dist"


def test_the_page_loads_only_what_the_service_serves() -> None:
    """No content network, and nothing inline: the service's security headers would refuse both."""
    links = Links()
    links.feed((DIST / "index.html").read_text(encoding="utf-8"))
    assert not links.inline
    served = {f"/page/{path.name}" for path in DIST.iterdir()}
    assert {address for address in links.addresses if not address.startswith("#")} <= served
    assert "@import" not in (style := (DIST / "app.css").read_text(encoding="utf-8")) and "url(" not in style


def test_the_script_holds_the_licence_of_what_it_bundles() -> None:
    script = (DIST / "app.js").read_text(encoding="utf-8")
    assert re.search(r"Three\.js Authors\s+\*?\s*SPDX-License-Identifier: MIT", script)
    assert not re.search(r"\beval\(|new Function\(", script), "the security headers forbid code made of text"


def test_the_lock_names_no_registry() -> None:
    """Whoever installs chooses the registry; the lock holds versions and digests alone."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
