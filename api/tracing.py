"""Traces for OpenTelemetry, where an operator wants them: a span for each request, one for its job on whatever machine,
and one for each stage of the job.

Without `SURROGATE_OTLP_ENDPOINT` nothing of OpenTelemetry's SDK is imported. The context travels to the worker in the
row, as a `traceparent` of W3C Trace Context.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from api.settings import Settings
from surrogate import InfrastructureError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import SpanKind, Tracer

Attributes = Mapping[str, str | int]
_FLUSH_MS = 2000


class Span(Protocol):
    """What is being traced."""

    def traceparent(self) -> str | None:
        """As W3C Trace Context writes it."""

    def stage(self, name: str) -> None:
        """Ends the stage before and begins another; the same again goes on with it."""

    def note(self, attributes: Attributes) -> None:
        """Adds facts, such as the outcome."""

    def name(self, name: str) -> None:
        """Calls the span by what is known only now."""


class Tracing(Protocol):
    """Makes spans."""

    def request(self, name: str, parent: str | None) -> AbstractContextManager[Span]:
        """A request; rows that are made within carry its context."""

    def job(self, name: str, parent: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
        """A job of a request whose context its row carries."""

    def stop(self) -> None:
        """Sends what is not sent yet, within a moment."""


class Untraced:
    """A span that nobody looks at."""

    def traceparent(self) -> str | None:
        """None."""
        return None

    def stage(self, name: str) -> None:
        """Nothing."""

    def note(self, attributes: Attributes) -> None:
        """Nothing."""

    def name(self, name: str) -> None:
        """Nothing."""


_UNTRACED = Untraced()
_current: ContextVar[Span] = ContextVar("span", default=_UNTRACED)


def current_span() -> Span:
    """Of the request or the job that this thread is at."""
    return _current.get()


def current_traceparent() -> str | None:
    """The context of the request that is being answered, for the row that it makes."""
    return current_span().traceparent()


class NoTracing:
    """Traces nothing, at no cost."""

    def request(self, name: str, parent: str | None) -> AbstractContextManager[Span]:
        """Nothing."""
        return nullcontext(_UNTRACED)

    def job(self, name: str, parent: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
        """Nothing."""
        return nullcontext(_UNTRACED)

    def stop(self) -> None:
        """Nothing."""


class OtelTracing:
    """Sends spans by OTLP over HTTP, from a thread of its own; a collector that is away costs nothing but the spans.

    Args:
        settings: name the collector and this process.
        role: of this process: service or worker.

    Raises:
        InfrastructureError: OpenTelemetry is not installed.
    """

    def __init__(self, settings: Settings, role: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise InfrastructureError(
                "SURROGATE_OTLP_ENDPOINT needs OpenTelemetry, which is not installed: "
                "pip install 'jepa-surrogate[otel]'"
            ) from error
        address = f"{str(settings.otlp_endpoint).rstrip('/')}/v1/traces"
        about = {"service.name": f"surrogate-{role}", "service.instance.id": settings.worker_id}
        self._provider: TracerProvider = TracerProvider(resource=Resource.create(about))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
        self._tracer: Tracer = self._provider.get_tracer("surrogate")

    def request(self, name: str, parent: str | None) -> AbstractContextManager[Span]:
        """A request; rows that are made within carry its context."""
        from opentelemetry.trace import SpanKind

        return self._open(name, parent, {}, SpanKind.SERVER)

    def job(self, name: str, parent: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
        """A job of a request whose context its row carries."""
        from opentelemetry.trace import SpanKind

        return self._open(name, parent, attributes, SpanKind.CONSUMER)

    def stop(self) -> None:
        """Sends what is not sent yet, within a moment."""
        self._provider.force_flush(_FLUSH_MS)

    @contextmanager
    def _open(self, name: str, parent: str | None, attributes: Attributes, kind: "SpanKind") -> Iterator[Span]:
        from opentelemetry.trace import StatusCode

        span = self._tracer.start_span(name, _context(parent), kind, dict(attributes))
        opened = _OtelSpan(self._tracer, span)
        token = _current.set(opened)
        try:
            yield opened
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            _current.reset(token)
            opened.stage("")
            span.end()


class _OtelSpan:
    """A span and the stage that it is in. Jobs report from two threads, never at the same time."""

    def __init__(self, tracer: "Tracer", span: "OtelSpan") -> None:
        from opentelemetry.trace import set_span_in_context

        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span)
        self._stage: OtelSpan | None = None
        self._stage_name = ""

    def stage(self, name: str) -> None:
        """Ends the stage before and begins another; the same again goes on with it."""
        if name == self._stage_name:
            return
        if self._stage is not None:
            self._stage.end()
        self._stage = self._tracer.start_span(name, self._context) if name else None
        self._stage_name = name

    def note(self, attributes: Attributes) -> None:
        """Adds facts, such as the outcome."""
        self._span.set_attributes(dict(attributes))

    def name(self, name: str) -> None:
        """Calls the span by what is known only now."""
        self._span.update_name(name)

    def traceparent(self) -> str:
        """As W3C Trace Context writes it."""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def open_tracing(settings: Settings, role: str) -> Tracing:
    """Tracing as the operator chose."""
    return OtelTracing(settings, role) if settings.otlp_endpoint else NoTracing()


def _context(traceparent: str | None) -> "Context | None":
    """The context that a header or a row tells; none where it tells nothing that can be read."""
    if traceparent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})
