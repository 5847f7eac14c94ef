"""What a finished prediction can be had as."""

import io
import re
import zipfile

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

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


def test_the_fields_lie_on_the_points_of_the_surface(client: httpx.Client, address: str, solved: Body) -> None:
    """Every stored step; the peak on the surface does not exceed the one over the quadrature points."""
    response = client.get(f"{address}/fields", params={"history": "limit then unload"})
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    fields = load(response.content)
    count = len(load(client.get(f"/v1/meshes/{solved['mesh']}/surface").content)["points"])
    assert fields["steps"].tolist() == [0, 1, 2, 3, 4, 5]
    assert fields["displacement"].shape == (6, count, 3) and fields["plastic_strain"].shape == (6, count)
    (history,) = solved["summary"]["histories"]
    for values, displacement, step in zip(fields["von_mises"], fields["displacement"], history["steps"], strict=True):
        # The last step, unloaded, has none left.
        assert values.max() <= step["peak_von_mises_pa"]["value"] * (1 + 1e-6)
        assert np.linalg.norm(displacement, axis=1).max() <= step["max_displacement_m"]["value"] * (1 + 1e-6)
    assert fields["von_mises"].max() > 0.5 * history["steps"][3]["peak_von_mises_pa"]["value"]
    # A solved answer has no interval, and needs none.
    assert "von_mises_interval" not in fields
    one = load(client.get(f"{address}/fields", params={"history": "limit then unload", "step": 3}).content)
    np.testing.assert_array_equal(one["von_mises"][0], fields["von_mises"][3])
    refused(client.get(f"{address}/fields", params={"step": 6}), 422)
    refused(client.get(f"{address}/fields", params={"history": "x"}), 422)


def test_who_has_a_file_is_not_sent_it_again(client: httpx.Client, address: str) -> None:
    for name in ("fields", "result.vtu", "render.png"):
        first = client.get(f"{address}/{name}", params={"step": 1})
        tag = first.headers["ETag"]
        assert client.get(f"{address}/{name}", params={"step": 1}, headers={"If-None-Match": tag}).status_code == 304
        assert client.get(f"{address}/{name}", params={"step": 2}, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=9-0", "bytes=999999999-", "lines=1-2", "="])
def test_a_file_comes_whole_whatever_range_is_asked_for(client: httpx.Client, address: str, wanted: str) -> None:
    response = client.get(f"{address}/render.png", params={"step": 1}, headers={"Range": wanted})
    assert response.status_code == 200 and response.content.endswith(b"IEND\xaeB`\x82")
    assert response.headers["Accept-Ranges"] == "none"


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
