"""Engineers at work, for locust: they bring parts, ask, watch, download, list and clear away, with pauses between.

A service that is busy (429 or 503 with Retry-After) is asked again after the time that it named: that is counted, and
no failure. Any other answer than the expected one is.
"""

import os
import random
import time
from pathlib import Path

from locust import HttpUser, between, task
from locust.clients import ResponseContextManager
from locust.exception import RescheduleTask

from tests.load.parts import LoadPart, read

PARTS = read(Path(os.environ["LOAD_PARTS"]))
FILES = ("summary", "fields", "result.vtu", "render.png", "series.zip", "report")
PATIENCE_S = 300.0
KEPT = 4


class Engineer(HttpUser):
    """One user with parts and predictions of their own."""

    wait_time = between(1, 5)

    def on_start(self) -> None:
        """Everybody begins with a part."""
        self.random = random.Random(random.randrange(2**32))
        self.meshes: list[tuple[str, LoadPart]] = []
        self.done: list[str] = []
        self.upload()

    @task(2)
    def upload(self) -> None:
        """A part; sometimes in a size that nobody meshed before, so that there is meshing to do."""
        part = self.random.choice(PARTS)
        size, new = part.element_size_m, False
        if size is not None and self.meshes and self.random.random() < 0.3:
            size, new = size * self.random.uniform(0.95, 1.0), True
        fields = {"length_unit": part.length_unit, "element_size_m": size}
        content = Path(part.path).read_bytes()
        answer = self.ask(
            "POST",
            "/v1/meshes",
            "upload",
            (200, 201, 202),
            files={"file": (Path(part.path).name, content)},
            data={name: str(value) for name, value in fields.items() if value is not None},
        )
        view = answer.json()
        while view["status"] in ("queued", "meshing"):
            view = self.ask(
                "GET", f"/v1/meshes/{view['id']}", "wait for a mesh", (200,), headers={"Prefer": "wait=10"}
            ).json()
        self.check(view["status"] == "ready", "a mesh is ready", str(view.get("error")))
        if not new:
            # New sizes are meshed only: each one asked about would fill the worker's cache of factors a little more.
            self.meshes = [*self.meshes, (view["id"], part)][-KEPT:]

    @task(6)
    def predict(self) -> None:
        """Asks, and waits by one request after the other."""
        location = self.ask_for("surrogate", {"Prefer": "wait=2"})
        self.wait_for(location)

    @task(2)
    def follow(self) -> None:
        """Asks, and follows the progress as the page does."""
        location = self.ask_for("refined", {})
        started, last = time.monotonic(), ""
        with self.client.get(
            f"{location}/events", stream=True, catch_response=True, name="first event", timeout=PATIENCE_S
        ) as stream:
            if stream.status_code != 200:
                stream.failure(f"status {stream.status_code}")
                return
            for line in stream.iter_lines(decode_unicode=True):
                last = line.removeprefix("event: ") if line.startswith("event: ") else last
        self.check(last == "end", "event stream", f"ended with {last!r} after {time.monotonic() - started:.0f} s")
        self.wait_for(location)

    @task(1)
    def solve(self) -> None:
        """The reference; patient users do not wait for it."""
        if self.random.random() < 0.3:
            self.ask_for("solved", {})

    @task(1)
    def cancel(self) -> None:
        """Asks, and thinks better of it."""
        location = self.ask_for("surrogate", {})
        self.ask("POST", f"{location}/cancel", "cancel", (202, 409))

    @task(5)
    def download(self) -> None:
        """A file of an answer."""
        if self.done:
            file = self.random.choice(FILES)
            answer = self.ask("GET", f"{self.random.choice(self.done)}/{file}", f"download {file}", (200,))
            self.check(len(answer.content) > 100, "a download has content", file)

    @task(3)
    def look_around(self) -> None:
        """Lists, materials, the page."""
        path = self.random.choice(("/v1/predictions?limit=20", "/v1/materials", "/v1/models", "/", "/openapi.json"))
        self.ask("GET", path, f"GET {path}", (200,))

    @task(2)
    def clear_away(self) -> None:
        """Old answers."""
        while len(self.done) > KEPT:
            self.ask("DELETE", self.done.pop(0), "delete", (204,))

    def ask_for(self, fidelity: str, headers: dict[str, str]) -> str:
        """The address of a new prediction."""
        mesh, part = self.random.choice(self.meshes)
        body = {**part.problem, "mesh": mesh, "fidelity": fidelity}
        answer = self.ask("POST", "/v1/predictions", f"ask ({fidelity})", (201, 202), json=body, headers=headers)
        return str(answer.headers["Location"])

    def wait_for(self, location: str) -> None:
        """Until it is finished; the whole time is what the user feels."""
        started = time.perf_counter()
        while True:
            view = self.ask("GET", location, "wait for an answer", (200,), headers={"Prefer": "wait=10"}).json()
            if view["status"] not in ("queued", "running"):
                break
        self.check(view["status"] == "done", "an answer is done", str(view.get("error")))
        self.note("(answer complete)", 1000 * (time.perf_counter() - started))
        self.done.append(location)

    def ask(
        self, method: str, path: str, name: str, expected: tuple[int, ...], **given: object
    ) -> ResponseContextManager:
        """One request, as often as the service is too busy for it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with self.client.request(
                method, path, name=name, catch_response=True, timeout=PATIENCE_S, **given
            ) as answer:
                pause = (answer.headers or {}).get("Retry-After")
                if answer.status_code in expected:
                    answer.success()
                    return answer
                if answer.status_code not in (429, 503) or pause is None or time.monotonic() > deadline:
                    answer.failure(f"status {answer.status_code}: {(answer.text or '')[:300]}")
                    raise RescheduleTask()
                answer.success()
            self.note("(asked to come later)", 1000 * float(pause))
            time.sleep(float(pause))

    def note(self, name: str, milliseconds: float, failure: str | None = None) -> None:
        """Counts what is no single request."""
        self.environment.events.request.fire(
            request_type="",
            name=name,
            response_time=milliseconds,
            response_length=0,
            exception=AssertionError(failure[:300]) if failure is not None else None,
        )

    def check(self, true: bool, what: str, found: str) -> None:
        """Counts a failure that no status code shows."""
        if not true:
            self.note(what, 0, found)
