"""A part is uploaded once, meshed once, and refused in words where it cannot be."""

import io
import itertools
import math
import time

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from tests.api.service_process import PART, refused, upload


def send(client: httpx.Client, name: str, content: bytes, **form: str) -> httpx.Response:
    return client.post("/v1/meshes", files={"file": (name, io.BytesIO(content))}, data=form)


def test_the_same_part_again_is_the_same_mesh(client: httpx.Client, mesh_id: str) -> None:
    again = upload(client)
    assert again.status_code == 200
    assert again.json()["id"] == mesh_id
    assert again.headers["Location"] == f"/v1/meshes/{mesh_id}"


def test_a_part_tells_its_sizes_in_si(client: httpx.Client, mesh_id: str) -> None:
    body = client.get(f"/v1/meshes/{mesh_id}").json()
    assert body["status"] == "ready" and body["name"] == PART.name
    assert body["points"] > body["cells"] > 0
    # The bracket is some centimetres large: millimetres taken for metres would be off by 1000.
    assert all(0.01 < extent < 0.2 for extent in body["size_m"])
    assert 0 < body["volume_m3"] < math.prod(body["size_m"])


def test_faces_show_what_selectors_compare_with(client: httpx.Client, mesh_id: str) -> None:
    faces = client.get(f"/v1/meshes/{mesh_id}/faces").json()["faces"]
    assert [face["id"] for face in faces] == list(range(client.get(f"/v1/meshes/{mesh_id}").json()["faces"]))
    bolts = [face for face in faces if face["hole"] and abs(face["radius_m"] - 0.00425) < 1e-5]
    assert len(bolts) == 4
    for face in faces:
        assert (face["normal"] is not None) == (face["kind"] == "plane")
        assert (face["axis"] is not None) == (face["kind"] == "cylinder")


def test_the_surface_is_that_of_the_listed_faces(client: httpx.Client, mesh_id: str) -> None:
    """Each face's triangles have the area that the list says; corners cut the arcs of holes short."""
    response = client.get(f"/v1/meshes/{mesh_id}/surface")
    assert response.headers["content-type"] == "application/octet-stream"
    surface = load(response.content)
    first, second, third = (surface["points"][surface["triangles"][:, corner]].astype(float) for corner in range(3))
    area = np.bincount(surface["triangle_face"], np.linalg.norm(np.cross(second - first, third - first), axis=1) / 2)
    for face in client.get(f"/v1/meshes/{mesh_id}/faces").json()["faces"]:
        assert area[face["id"]] == pytest.approx(face["area_m2"], rel=0.1)
    assert surface["edges"].max() < len(surface["points"]) == len(surface["point_ids"])
    assert surface["point_ids"].max() < client.get(f"/v1/meshes/{mesh_id}").json()["points"]


def test_who_has_the_surface_is_not_sent_it_again(client: httpx.Client, mesh_id: str) -> None:
    address = f"/v1/meshes/{mesh_id}/surface"
    tag = client.get(address).headers["ETag"]
    again = client.get(address, headers={"If-None-Match": f'"other", {tag}'})
    assert again.status_code == 304 and again.content == b"" and again.headers["ETag"] == tag
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_upload_comes_back_bit_for_bit(client: httpx.Client, mesh_id: str) -> None:
    response = client.get(f"/v1/meshes/{mesh_id}/content")
    assert response.content == PART.read_bytes()
    assert "attachment" in response.headers["content-disposition"]


def test_a_truncated_step_is_refused_in_words(client: httpx.Client) -> None:
    truncated = PART.read_bytes()[: PART.stat().st_size * 3 // 5]
    detail = refused(send(client, "half.step", truncated, length_unit="mm"), 422)
    assert "half.step" in detail
    # Told again from memory, not meshed again.
    started = time.monotonic()
    assert refused(send(client, "half.step", truncated, length_unit="mm"), 422) == detail
    assert time.monotonic() - started < 1


def test_a_wrong_suffix_is_415(client: httpx.Client) -> None:
    assert ".step" in refused(send(client, "drawing.pdf", b"%PDF-1.4"), 415)


def test_an_upload_over_the_limit_is_413(client: httpx.Client) -> None:
    """The fixture allows 2 MB; the length may be announced or not."""
    assert "2000000 bytes" in refused(send(client, "large.step", bytes(3_000_000)), 413)
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="large.step"\r\n\r\n'
    unannounced = client.post(
        "/v1/meshes",
        content=itertools.chain([start], (bytes(100_000) for _ in range(40))),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    refused(unannounced, 413)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "thin"])
def test_an_element_size_that_is_none_is_refused(client: httpx.Client, size: str) -> None:
    assert "element_size_m" in refused(send(client, PART.name, b"x", element_size_m=size), 422)


@pytest.mark.parametrize("suffix", ["", "/faces", "/surface", "/content"])
@pytest.mark.parametrize("name", ["nothing", "..%2f..%2fservice.sqlite", "%00"])
def test_an_unknown_mesh_is_404(client: httpx.Client, name: str, suffix: str) -> None:
    refused(client.get(f"/v1/meshes/{name}{suffix}"), 404)


def test_a_part_can_be_deleted_and_uploaded_again(client: httpx.Client) -> None:
    # A size of its own, so that no other test uses this mesh.
    made = upload(client, element_size_m=0.0125)
    location = f"/v1/meshes/{made.json()['id']}"
    assert client.delete(location).status_code == 204
    refused(client.get(location), 404)
    assert upload(client, element_size_m=0.0125).status_code == 201
    assert client.get(location).json()["status"] == "ready"
