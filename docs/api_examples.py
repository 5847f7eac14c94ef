"""Records the answers that the OpenAPI document shows: `make api-examples`.

Starts a service, asks it what the requests of the document ask, and stores what it answered in api/examples/, shortened
where it is long. The document never shows an answer that the service did not give.
"""

import json
import tempfile
import time
from pathlib import Path

import httpx

from api.demo import running_service

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "api" / "examples"
PART = ROOT / "meshes" / "bracket.step"
CARD_CHARACTERS = 600

Json = dict[str, object]


def store(name: str, answer: object) -> None:
    """Writes one example."""
    (EXAMPLES / f"{name}.json").write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def upload(client: httpx.Client, element_size_m: float, prefer: str) -> Json:
    """A part as the service shows it."""
    form, headers = {"element_size_m": str(element_size_m)}, {"Prefer": prefer}
    files = {"file": (PART.name, PART.read_bytes())}
    return dict(client.post("/v1/meshes", files=files, data=form, headers=headers).json())


def requests(mesh_id: object) -> list[Json]:
    """The requests of the document, for a mesh that there is."""
    text = (EXAMPLES / "prediction_requests.json").read_text(encoding="utf-8").replace('"MESH"', json.dumps(mesh_id))
    return [shown["value"] for shown in json.loads(text).values()]


def record_meshes(client: httpx.Client) -> object:
    """Examples of parts; returns the id of one."""
    store("mesh_queued", upload(client, 0.0121, "wait=0"))
    mesh = upload(client, 0.012, "wait=60")
    store("mesh", mesh)
    store("mesh_list", client.get("/v1/meshes", params={"limit": 1}).json())
    faces = client.get(f"/v1/meshes/{mesh['id']}/faces").json()
    store("faces", {**faces, "faces": faces["faces"][:3]})
    return mesh["id"]


def record_predictions(client: httpx.Client, mesh_id: object) -> None:
    """Examples of predictions, of their summary and of their verification."""
    asked, _, solved = requests(mesh_id)
    queued = client.post("/v1/predictions", json=asked).json()
    store("prediction_queued", queued)
    address = queued["links"]["self"]
    while client.get(address, headers={"Prefer": "wait=10"}).json()["status"] != "done":
        time.sleep(0.1)
    done = client.get(address).json()
    store("prediction", done)
    store("summary", done["summary"])
    store("verification_queued", client.post(f"{address}/verification").json())
    waiting = client.post("/v1/predictions", json=solved).json()
    store("prediction_cancelled", client.post(f"{waiting['links']['self']}/cancel").json())
    while client.get(f"{address}/verification", headers={"Prefer": "wait=10"}).json()["status"] != "done":
        time.sleep(0.1)
    store("verification", client.get(f"{address}/verification").json())
    store("prediction_list", client.get("/v1/predictions", params={"limit": 2}).json())


def record_catalogue(client: httpx.Client) -> None:
    """Examples of materials, models and health."""
    materials = client.get("/v1/materials").json()["materials"]
    store("materials", {"materials": materials[:2]})
    models = client.get("/v1/models").json()
    store("models", models)
    model = client.get(f"/v1/models/{models['models'][0]['name']}").json()
    store("model", {**model, "card": f"{model['card'][:CARD_CHARACTERS]}…"})
    store("health", client.get("/healthz").json())
    ready = client.get("/readyz").json()
    store("ready", ready)
    store("not_ready", {**ready, "status": "unavailable", "checks": {**ready["checks"], "workers": "none"}})


def main() -> None:
    """Records everything."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_service(Path(scratch) / "service.log") as address,
        httpx.Client(base_url=address, timeout=300) as client,
    ):
        record_predictions(client, record_meshes(client))
        record_catalogue(client)


if __name__ == "__main__":
    main()
