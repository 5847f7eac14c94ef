"""What the documents say is run or looked up, so that they cannot drift from the program."""

import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.api.service_process import Server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md")), *ROOT.glob("meshes/*.md")]


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The commands of all bash blocks, without comments."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def readme_figures() -> ModuleType:
    """The script that measures; it lies outside of the packages."""
    spec = importlib.util.spec_from_file_location("readme_figures", ROOT / "docs" / "readme_figures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["readme_figures"] = module
    spec.loader.exec_module(module)
    return module


def test_the_first_screen_has_what_a_reader_needs() -> None:
    screen = README.split("\n## ")[0]
    for wanted in ("predicted_beside_solved.png", "```python", "make demo", "make test", "curl "):
        assert wanted in screen
    assert blocks("python")[0] in screen and all(len(example.splitlines()) <= 12 for example in blocks("python"))


def test_every_command_exists() -> None:
    import typer.main

    from surrogate.cli import app

    verbs = set(getattr(typer.main.get_command(app), "commands", {}))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = commands()
    assert {words[1] for words in called if words[0] == "surrogate"} <= verbs
    assert {words[1] for words in called if words[0] == "make"} <= targets
    making = re.search(r"Making a model of your own: (.*?);", README, re.DOTALL)
    assert making is not None
    assert set(re.findall(r"`(?:surrogate )?([a-z]+)`", making[1])) <= verbs
    services = set(re.findall(r"^  ([a-z-]+):$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))
    composed = [words for words in called if words[:2] == ["docker", "compose"]]
    profiles = set(re.findall(r"profiles: \[(\w+)\]", (ROOT / "docker-compose.yml").read_text()))
    chosen = {after for words in composed for word, after in itertools.pairwise(words) if word == "--profile"}
    assert chosen and chosen <= profiles
    assert {words[words.index("--rm") + 1] for words in composed if "run" in words} <= services
    known = {"surrogate", "make", "docker", "curl", "cp"}
    assert {words[0] for words in called} <= known


def test_files_and_options_in_commands_exist() -> None:
    for words in commands():
        for word in words:
            if word.startswith("meshes/"):
                assert (ROOT / word).exists(), word
    import typer.main

    from surrogate.cli import app

    verbs = getattr(typer.main.get_command(app), "commands", {})
    for words in commands():
        if words[0] == "surrogate":
            options = {option for parameter in verbs[words[1]].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options, words


def test_the_curl_line_names_a_resource_of_the_service() -> None:
    from api.app import create_app

    paths = create_app().openapi()["paths"]
    named = re.findall(r"http://127\.0\.0\.1:8000(/\S+)", " ".join(blocks("bash")))
    assert named and set(named) <= set(paths)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


def test_the_table_is_what_was_measured() -> None:
    figures = readme_figures()
    table = README.split(figures.BEGIN)[1].split(figures.END)[0].strip()
    assert table == figures.table_text(figures.load_measured())


def run_as_pasted(example: str, directory: Path) -> str:
    """What an example prints, run as a reader would, beside the sample parts."""
    (directory / "meshes").symlink_to(ROOT / "meshes")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=directory, capture_output=True, text=True, env={**os.environ}, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert (directory / "demo_output" / "report.html").stat().st_size > 10_000
    return done.stdout


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    assert "safety factor on yield" in run_as_pasted(blocks("python")[0], tmp_path)


@pytest.mark.slow
def test_the_example_of_the_client_runs(tmp_path: Path) -> None:
    """Against a service with the model that is shipped, which has intervals."""
    server = Server(tmp_path)
    server.start()
    try:
        printed = run_as_pasted(blocks("python")[1].replace("http://127.0.0.1:8000", server.url), tmp_path)
    finally:
        server.end()
    # Four looks a second: which stages of a quick prediction are seen is chance.
    assert re.search(r"^(anchor|encode|rollout|decode|equilibrium) \d+%$", printed, re.MULTILINE), printed
    assert "done 100%" in printed
    (told,) = re.findall(r": (\d+) MPa, interval (\d+) MPa", printed)
    assert int(told[0]) > int(told[1]) > 0
