"""What a finished prediction can be had as."""

import io
import re
import zipfile

import httpx
import pytest

from tests.api.service_process import refused

Body = dict[str, object]


@pytest.fixture
def address(solved: Body) -> str:
    return f"/v1/predictions/{solved['id']}"


def test_a_step_is_a_vtu_of_the_mesh(client: httpx.Client, address: str, solved: Body) -> None:
    response = client.get(f"{address}/result.vtu")
    assert response.status_code == 200
    # Only the head: the arrays follow as raw bytes.
    piece = re.search(rb'<Piece NumberOfPoints="(\d+)" NumberOfCells="(\d+)"', response.content)
    assert piece is not None
    assert int(piece[1]) == solved["summary"]["part"]["points"]
    assert int(piece[2]) == solved["summary"]["part"]["cells"]
    # The name of the prediction has characters that no header and no path may hold as they are.
    assert "%2F" in response.headers["content-disposition"] or "%20" in response.headers["content-disposition"]


def test_another_step_is_another_file(client: httpx.Client, address: str) -> None:
    worst = client.get(f"{address}/result.vtu").content
    named = client.get(f"{address}/result.vtu", params={"history": "limit then unload", "step": 3}).content
    first = client.get(f"{address}/result.vtu", params={"step": 0}).content
    assert worst == named != first
    assert client.get(f"{address}/result.vtu", params={"step": 0}).content == first


def test_a_step_or_history_that_is_not_there_is_told(client: httpx.Client, address: str) -> None:
    assert "[0, 1, 2, 3, 4, 5]" in refused(client.get(f"{address}/result.vtu", params={"step": 6}), 422)
    assert "limit then unload" in refused(client.get(f"{address}/result.vtu", params={"history": "x"}), 422)
    refused(client.get(f"{address}/result.vtu", params={"step": -1}), 422)


def test_the_series_holds_every_stored_step(client: httpx.Client, address: str) -> None:
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"{address}/series.zip").content))
    assert sum(name.endswith(".vtu") for name in archive.namelist()) == 6
    assert sum(name.endswith(".pvd") for name in archive.namelist()) == 1


def test_a_picture_is_drawn(client: httpx.Client, address: str) -> None:
    response = client.get(f"{address}/render.png")
    assert response.status_code == 200 and response.headers["content-type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")
    assert "von_mises" in refused(client.get(f"{address}/render.png", params={"field": "temperature"}), 422)


@pytest.mark.slow
def test_the_report_is_one_file(client: httpx.Client, address: str) -> None:
    response = client.get(f"{address}/report")
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/html")
    assert "limit then unload" in response.text
    assert 'src="http' not in response.text


def test_what_was_solved_needs_no_verification(client: httpx.Client, address: str) -> None:
    assert "solved" in refused(client.post(f"{address}/verification"), 409)
    refused(client.get(f"{address}/verification"), 404)
