"""What every verb of the command line does alike: errors and exit codes, progress, streams.

Results go to standard output, progress and errors to standard error.
"""

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from surrogate.errors import InputError, SolveError, SurrogateError

if TYPE_CHECKING:
    from rich.console import Console

WRONG_INPUT, INFRASTRUCTURE = 2, 3
# As the service answers; by exit code where the class is not listed.
_HTTP_STATUS = {"TooLargeError": 413, "UnsupportedFormatError": 415, "InternalError": 500}


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Errors as one line on standard error and as an exit code, with --json also as an RFC 9457 body on output."""
    try:
        yield
    except SurrogateError as error:
        wrong = isinstance(error, (InputError, SolveError))
        _fail(type(error).__name__, str(error), WRONG_INPUT if wrong else INFRASTRUCTURE, as_json)
    except (KeyboardInterrupt, typer.Exit, typer.Abort):
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        _fail("InternalError", f"{type(error).__name__}: {error}", INFRASTRUCTURE, as_json)


def _fail(kind: str, message: str, code: int, as_json: bool) -> None:
    typer.echo(f"error: {message}", err=True)
    if as_json:
        words = "".join(" " + c.lower() if c.isupper() else c for c in kind.removesuffix("Error")).split()
        identifier = f"urn:surrogate:error:{'-'.join(words)}"
        status = _HTTP_STATUS.get(kind, 422 if code == WRONG_INPUT else 503)
        title = " ".join(words).capitalize()
        print_json({"type": identifier, "title": title, "status": status, "detail": message})
    raise typer.Exit(code)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, gone when done; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    errors = Console(stderr=True)
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        tasks = {}

        def show(stage: str, done: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=done, total=1.0 if done > 0 else None)

        yield show


def console() -> "Console":
    """Standard output for tables."""
    from rich.console import Console

    # Piped tables keep their columns instead of being cut to 80.
    return Console(soft_wrap=False, width=None if sys.stdout.isatty() else 160, highlight=False)


def print_json(data: object) -> None:
    """JSON on standard output."""
    typer.echo(json.dumps(data, indent=2))
