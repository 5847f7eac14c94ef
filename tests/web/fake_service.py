"""A service that says what a test wants, for what a real one says seldom: refusals, broken streams, huge parts.

It answers inside the browser, under a host of its own, without TLS, and with the headers of the real service.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import Page, Request, Route
from safetensors.numpy import save
from starlette.datastructures import MutableHeaders

from api.gate import protect
from api.routes.page import MEDIA_TYPES
from tests.web.browser import PATIENCE_MS

URL = "http://surrogate.test"
DIST = Path(__file__).parents[2] / "api" / "web" / "dist"
FACES = 8
Json = dict[str, object]
Answer = Callable[[Request], "Said"]


@dataclass(frozen=True)
class Said:
    """A response."""

    body: bytes
    status: int = 200
    media_type: str = "application/octet-stream"


def said(body: object, status: int = 200) -> Said:
    """JSON, as a problem where the status is one of an error."""
    kind = "application/problem+json" if status >= 400 else "application/json"
    return Said(json.dumps(body).encode(), status, kind)


def problem(status: int, detail: str) -> Said:
    """An error as the service words it."""
    return said({"type": "about:blank", "title": "Refused", "status": status, "detail": detail}, status)


def events(*told: tuple[str, Json]) -> Said:
    """A stream of server-sent events that ends after the last one."""
    lines = [f"event: {name}\ndata: {json.dumps(data)}\nid: {data['revision']}\n\n" for name, data in told]
    return Said("".join(lines).encode(), 200, "text/event-stream")


@dataclass(frozen=True)
class Torus:
    """A part of one closed surface, bent to and fro by one history."""

    around: int = 24
    steps: int = 5

    @property
    def points(self) -> int:
        return self.around**2

    def surface(self) -> bytes:
        """As `/surface` gives it, with eight faces."""
        u, v = self._angles()
        ring = 0.05 + 0.02 * np.cos(v)
        points = np.stack([ring * np.cos(u), ring * np.sin(u), 0.02 * np.sin(v)], axis=-1).astype(np.float32)
        i, j = np.divmod(np.arange(self.points), self.around)
        after, beside = (i + 1) % self.around, (j + 1) % self.around
        a, b, c, d = (r * self.around + s for r, s in ((i, j), (after, j), (after, beside), (i, beside)))
        triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.uint32)
        face = (np.tile(i, 2) * FACES // self.around).astype(np.uint32)
        # Where one face ends and the next begins.
        rim = i * FACES % self.around < FACES
        return save(
            {
                "points": points,
                "triangles": triangles,
                "triangle_face": face,
                "edges": np.stack([a[rim], d[rim]], 1).astype(np.uint32),
                "point_ids": np.arange(self.points, dtype=np.uint32),
            }
        )

    def fields(self, shift: float = 0.0) -> bytes:
        """As `/fields` gives them; a solved answer differs by a shift."""
        u, v = self._angles()
        load = np.linspace(0, 1, self.steps + 1)[1:, None]
        motion = np.stack([0 * u, 0 * u, 2e-3 * np.sin(2 * u)], axis=-1)
        stress = (load * (2e8 * (1 + np.sin(3 * u + 2 * v)) + shift)).astype(np.float32)
        return save(
            {
                "steps": np.arange(self.steps, dtype=np.uint32),
                "displacement": (load[..., None] * motion).astype(np.float32),
                "von_mises": stress,
                "plastic_strain": stress / np.float32(1e11),
                "von_mises_interval": stress * np.float32(0.1),
            }
        )

    def _angles(self) -> tuple[np.ndarray, np.ndarray]:
        i, j = np.divmod(np.arange(self.points), self.around)
        return 2 * np.pi * i / self.around, 2 * np.pi * j / self.around

    def summary(self) -> Json:
        """The numbers of the history."""

        def about(value: float) -> Json:
            return {"value": value, "low": 0.9 * value, "high": 1.1 * value}

        def step(number: int) -> Json:
            return {
                "factors": {"pull": (number + 1) / self.steps},
                **dict.fromkeys(("peak_von_mises_pa", "p999_von_mises_pa"), about(4e8 * (number + 1) / self.steps)),
                "peak_at_m": [0, 0, 0],
                "max_displacement_m": about(2e-3),
                "peak_plastic_strain": about(4e-3),
                "yielded_volume_fraction": about(0.1),
                "equilibrium_residual": 0.0,
            }

        history = {
            "name": "bending",
            "steps": [step(number) for number in range(self.steps)],
            "peak_step": self.steps - 1,
            "safety_factor_yield": about(0.95),
            "safety_factor_ultimate": about(1.4),
            "permanent_set_m": about(1e-4),
            "max_residual_von_mises_pa": about(3e7),
        }
        return {
            "part": {"name": "torus", "points": self.points, "cells": 1, "mass_kg": 0.1, "size_m": [0.14, 0.14, 0.04]},
            "material": {"name": "steel", "yield_strength_pa": 3.6e8, "ultimate_strength_pa": 5.6e8},
            "method": "surrogate",
            "model": {"name": "graph", "version": "1"},
            "histories": [history],
            "ranking": ["bending"],
            "domain": {"score": 1.7, "inside": False, "reason": "the part is a ring"},
            "warnings": ["bending: the peak sits on the edge of a support face"],
            "timings_s": {"total": 1.0},
        }


@dataclass
class FakeService:
    """Answers the requests of a tab.

    Attributes:
        part: what the one mesh is.
        answers: by method and path; a test replaces what it wants.
        asked: the requests to `/v1`, in order.
    """

    part: Torus = field(default_factory=Torus)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        surface, fields = Said(self.part.surface()), Said(self.part.fields())
        faces = [{"id": number, "kind": "other", "area_m2": 1e-4, "centroid_m": [0, 0, 0]} for number in range(FACES)]
        empty = dict.fromkeys(("name", "normal", "axis", "radius_m", "hole"))
        material = {"youngs_modulus_pa": 2.1e11, "poissons_ratio": 0.3, "density_kg_m3": 7850}
        strengths = {"yield_strength_pa": 3.6e8, "ultimate_strength_pa": 5.6e8, "hardening": {"linear_modulus_pa": 1e9}}
        given: dict[str, Said] = {
            "GET /v1/materials": said({"materials": [{"name": "steel", "source": "made up", **material, **strengths}]}),
            "GET /v1/models": said({"models": [{"name": "graph", "version": "1"}]}),
            "POST /v1/meshes": said(self.mesh(), 201),
            "GET /v1/meshes/m": said(self.mesh()),
            "GET /v1/meshes/m/faces": said({"mesh": "m", "faces": [{**empty, **face} for face in faces]}),
            "GET /v1/meshes/m/surface": surface,
            "POST /v1/predictions": said(self.prediction("queued"), 202),
            "GET /v1/predictions/p": said(self.prediction("done")),
            "GET /v1/predictions/p/events": events(("end", {"status": "done", "revision": 2})),
            "GET /v1/predictions/p/fields": fields,
        }
        for name, answer in given.items():
            self.answers.setdefault(name, lambda request, answer=answer: answer)

    def mesh(self) -> Json:
        return {
            "id": "m",
            "status": "ready",
            "name": "torus.step",
            "length_unit": None,
            "error": None,
            "points": self.part.points,
            "cells": 1,
            "faces": FACES,
            "volume_m3": 1e-6,
            "size_m": [0.14, 0.14, 0.04],
            "requested_element_size_m": None,
            "element_size_m": 1e-3,
        }

    def prediction(self, status: str) -> Json:
        summary = self.part.summary() if status == "done" else None
        return {
            "id": "p",
            "mesh": "m",
            "name": "torus",
            "fidelity": "surrogate",
            "status": status,
            "stage": None,
            "progress": 0.0,
            "summary": summary,
            "error": None,
        }

    def serve(self, page: Page) -> None:
        """Answers what a tab asks of this host from now on."""
        page.set_default_timeout(PATIENCE_MS)
        page.route(f"{URL}/**", self._answer)

    def _answer(self, route: Route) -> None:
        request = route.request
        path = urlsplit(request.url).path
        if path.startswith("/v1/"):
            self.asked.append(request)
            answer = self.answers.get(f"{request.method} {path}")
            found = answer(request) if answer else problem(404, f"nothing at {path}")
        else:
            name = path.removeprefix("/page/").strip("/") or "index.html"
            found = Said((DIST / name).read_bytes(), 200, MEDIA_TYPES[name])
        headers = MutableHeaders({"content-type": found.media_type})
        protect(headers, {"path": path})
        # Browsers ignore it without TLS, and complain.
        del headers["cross-origin-opener-policy"]
        route.fulfill(status=found.status, body=found.body, headers=dict(headers))

    def with_problem(self, page: Page) -> None:
        """Opens the page where a problem was put together before, and an answer looked at."""
        self.serve(page)
        page.goto(URL)
        case = {"name": "pull", "loads": [{"kind": "force_n", "faces": [1], "value": [0, 0, 9], "point": None}]}
        asked = {"supports": [{"faces": [0], "fixed": ["x"]}], "cases": [case], "material": "steel", "histories": []}
        memory = {"mesh": "m", "lengthUnit": None, "problem": asked, "prediction": "p", "verification": None}
        page.evaluate(
            "memory => sessionStorage.setItem('surrogate-work', JSON.stringify(memory))", {**memory, "spec": None}
        )
        page.reload()

    def with_answer(self, page: Page) -> None:
        """Opens the page at an answer."""
        self.with_problem(page)
        page.locator("#tab-results:enabled").click()
        page.locator("#time-bar").wait_for()
