"""The page's words for faces find exactly those faces in the library, on every sample part."""

import itertools
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from surrogate import load_part, write_surface
from surrogate.geometry.selectors import parse_selector, select_faces
from surrogate.geometry.tet_mesh import TetMesh
from tests.api.service_process import ROOT
from tests.web.fake_service import FakeService, Said, said

pytestmark = pytest.mark.slow

PARTS = sorted((ROOT / "meshes").glob("*.step"))


def choices(mesh: TetMesh) -> list[list[int]]:
    """Each face alone; all of a radius, of a direction; and neighbours in the list, which have nothing in common."""
    alone = [[face.id] for face in mesh.faces]
    kinds: dict[object, list[int]] = {}
    for face in mesh.faces:
        key = (
            face.kind,
            face.hole,
            face.radius and round(face.radius, 5),
            face.normal and tuple(map(round, face.normal)),
        )
        kinds.setdefault(key, []).append(face.id)
    return [*alone, *kinds.values(), *(list(pair) for pair in itertools.pairwise(range(len(mesh.faces))))]


def described(browser: Browser, mesh: TetMesh, chosen: list[list[int]], folder: Path) -> list[dict[str, object]]:
    """What the page writes into a problem file for these choices of faces."""
    write_surface(mesh, folder / "surface")
    faces = [
        {
            "id": face.id,
            "name": face.name,
            "kind": face.kind,
            "area_m2": face.area,
            "centroid_m": face.centroid,
            "normal": face.normal,
            "axis": face.axis,
            "radius_m": face.radius,
            "hole": face.hole,
        }
        for face in mesh.faces
    ]
    service = FakeService()
    service.answers["GET /v1/meshes/m/faces"] = lambda request: said({"mesh": "m", "faces": faces})
    service.answers["GET /v1/meshes/m/surface"] = lambda request: Said((folder / "surface").read_bytes())
    page = browser.new_page()
    page.add_init_script(
        "const memory = JSON.parse(sessionStorage.getItem('surrogate-work') ?? 'null');"
        f"if (memory) {{ memory.problem.supports = {chosen}.map((faces) => ({{faces, fixed: ['x']}}));"
        "memory.prediction = null; sessionStorage.setItem('surrogate-work', JSON.stringify(memory)); }"
    )
    service.with_problem(page)
    page.locator(".support-card").nth(len(chosen) - 1).wait_for(state="attached")
    with page.expect_download() as waiting:
        page.locator("#save-problem").click()
    waiting.value.save_as(folder / "problem.toml")
    page.close()
    return [each["faces"] for each in tomllib.loads((folder / "problem.toml").read_text(encoding="utf-8"))["supports"]]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.stem)
def test_faces_are_found_again_by_the_page_s_words(browser: Browser, part: Path, tmp_path: Path) -> None:
    mesh = load_part(part)
    chosen = choices(mesh)
    written = described(browser, mesh, chosen, tmp_path)
    for ids, selector in zip(chosen, written, strict=True):
        assert select_faces(mesh, parse_selector(selector)) == tuple(sorted(ids)), selector
    by_meaning = [selector for selector in written if "face_ids" not in selector]
    assert len(by_meaning) > len(mesh.faces) / 3, "most faces of a machined part can be told by what they are"
