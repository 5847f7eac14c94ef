"""A small OTLP/HTTP collector, a process on loopback: what it is sent it writes to a file, one span a line."""

import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.api.service_process import ROOT

Facts = dict[str, object]


class Collector:
    """The process and what it got."""

    def __init__(self, endpoint: str, file: Path) -> None:
        self.endpoint = endpoint
        self._file = file

    def spans(self) -> list[Facts]:
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []


@contextmanager
def running_collector(directory: Path) -> Iterator[Collector]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    file = directory / "spans.jsonl"
    command = [sys.executable, "-m", "tests.api.trace_collector", str(port), str(file)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline and process.poll() is None, "the collector did not start"
            time.sleep(0.1)
        yield Collector(f"http://127.0.0.1:{port}", file)
    finally:
        process.kill()
        process.wait()


def collect(port: int, file: Path) -> None:
    """Serves until it is killed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces", self.path
            with file.open("a") as stream:
                for facts in spans_of(ExportTraceServiceRequest.FromString(body)):
                    stream.write(json.dumps(facts) + "\n")
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, form: str, *given: object) -> None:
            """Silent."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Facts]:
    for resource in request.resource_spans:
        about = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "service": about["service.name"],
                    "name": span.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    "attributes": {
                        each.key: each.value.string_value or each.value.int_value for each in span.attributes
                    },
                }


if __name__ == "__main__":
    collect(int(sys.argv[1]), Path(sys.argv[2]))
