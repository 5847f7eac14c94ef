"""Asks a service for jobs from several threads, and kills its processes meanwhile."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from api.tables import UNFINISHED, MeshRow, PredictionRow
from tests.api.chaos_parts import Part, part, prediction
from tests.api.service_process import Server

_VICTIMS, _WEIGHTS = ("worker", "service", "everything"), (5, 3, 2)
# So many jobs wait at most, so that requests are being answered all the time.
_AHEAD = 40
_SUBMITTERS = 4
_UPLOADS = 0.1
_PATIENCE_S = 1800.0


@dataclass
class Storm:
    """What is asked of a service, and what came of it.

    Attributes:
        uploads: what was uploaded, by mesh id.
        predictions: the number of each job, by prediction id.
        kills: how often each victim was killed.
        faults: answers that should not be.
        hit: how often a victim had a job in hand.
    """

    server: Server
    engine: Engine
    seed: int
    surrogates: float = 0.0
    uploads: dict[str, Part] = field(default_factory=dict)
    predictions: dict[str, int] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    hit: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rage(self, jobs: int, kills: int) -> None:
        """Asks for jobs from several threads and kills meanwhile, until all is done."""
        mesh = self._upload(part(0))
        numbers = iter(range(1, jobs + 1))
        threads = [threading.Thread(target=self._submit, args=(numbers, mesh), daemon=True) for _ in range(_SUBMITTERS)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + _PATIENCE_S
        chance = random.Random(self.seed)
        for number in range(kills):
            # Spread over the work, not over the time: nobody knows how fast this machine is.
            self._wait(lambda number=number: self._done() >= (number + chance.random()) * jobs / (kills + 1), deadline)
            self._kill(chance)
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self._wait(lambda: self._done() >= jobs + 1, deadline)

    def stop(self) -> None:
        """Ends the threads of one that went wrong."""
        self._stop.set()

    def _wait(self, met: Callable[[], bool], deadline: float) -> None:
        while not met():
            process = self.server.process
            if process is None or process.poll() is not None:
                raise RuntimeError(f"the service ended by itself:\n{self.server.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not done after {_PATIENCE_S} s: {self._counts()}\n{self.server.log()}")
            time.sleep(0.1)

    def _submit(self, numbers: Iterator[int], mesh: str) -> None:
        chance = random.Random(threading.get_ident() ^ self.seed)
        while not self._stop.is_set():
            with self._lock:
                number = next(numbers, None)
            if number is None:
                return
            while number - self._done() > _AHEAD and not self._stop.is_set():
                time.sleep(0.1)
            if chance.random() < _UPLOADS:
                self._upload(part(number))
                continue
            fidelity = "surrogate" if chance.random() < self.surrogates else "solved"
            self._predict(number, prediction(number, mesh, fidelity))

    def _predict(self, number: int, body: dict[str, object]) -> None:
        # The key makes one prediction of however many requests it takes.
        headers = {"Idempotency-Key": f"job-{number}"}
        made = self._asked(lambda client: client.post("/v1/predictions", json=body, headers=headers))
        self.predictions[str(made["id"])] = number

    def _upload(self, sent: Part) -> str:
        form = {"length_unit": "mm"}
        made = self._asked(
            lambda client: client.post("/v1/meshes", files={"file": (sent.name, sent.content)}, data=form)
        )
        self.uploads[str(made["id"])] = sent
        return str(made["id"])

    def _asked(self, ask: Callable[[httpx.Client], httpx.Response]) -> dict[str, object]:
        """The answer to a request, which is repeated as a good client does: where nobody answered, or with a 503."""
        while True:
            with suppress(httpx.TransportError), httpx.Client(base_url=self.server.url, timeout=60) as client:
                response = ask(client)
                if response.status_code in (200, 201, 202):
                    return dict(response.json())
                # The mesh that all predictions are of may still be in work.
                if response.status_code not in (503, 409):
                    self.faults.append(f"{response.request.url} answered {response.status_code}: {response.text[:300]}")
            if self._stop.is_set():
                raise SystemExit
            time.sleep(0.3)

    def _kill(self, chance: random.Random) -> None:
        victim = chance.choices(_VICTIMS, _WEIGHTS)[0]
        # Mostly in the middle of something, and sometimes while it starts.
        if chance.random() < 0.8:
            until = time.monotonic() + 20
            while not (busy := self._in_hand()) and time.monotonic() < until:
                time.sleep(0.01)
            self.hit += bool(busy)
        time.sleep(0.2 * chance.random())
        workers = self._living_workers()
        if victim == "worker":
            os.kill(chance.choice(workers), signal.SIGKILL)
        else:
            self.server.end(signal.SIGKILL)
            for number in workers if victim == "everything" else ():
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            self.server.spawn()
        self.kills[victim] += 1

    def _living_workers(self) -> list[int]:
        while not (found := self.server.workers()):
            time.sleep(0.01)
        return found

    def _done(self) -> int:
        return sum(count for status, count in self._counts().items() if status not in UNFINISHED)

    def _in_hand(self) -> int:
        counts = self._counts()
        return counts["running"] + counts["meshing"]

    def _counts(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        with Session(self.engine.execution_options(reads=True)) as session:
            for table in (MeshRow, PredictionRow):
                for status, count in session.execute(select(table.status, func.count()).group_by(table.status)):
                    counts[status] += count
        return counts
