"""One prediction of the service, from the question to the files of its answer."""

from collections.abc import Callable, Mapping
from pathlib import Path

from surrogate.client.arrays import FieldArrays, field_arrays
from surrogate.client.connection import Connection
from surrogate.client.errors import JobCancelledError, JobFailedError
from surrogate.client.watching import follow
from surrogate.client.wire import UNFINISHED, PictureField, PredictionView, ProblemDetails
from surrogate.serving.fields_file import written_whole
from surrogate.serving.summary_schema import Summary

Progress = Callable[[str, float], None]

PATH = "/v1/predictions"
PICTURES: tuple[PictureField, ...] = ("von_mises", "displacement", "plastic_strain", "setup")


class Prediction:
    """A prediction, or the FEM solution that verifies one.

    Attributes:
        view: the prediction as the service last showed it.
    """

    def __init__(self, connection: Connection, view: PredictionView) -> None:
        self._connection = connection
        self.view = view

    def __repr__(self) -> str:
        return f"<Prediction {self.id} {self.view.name!r} {self.view.status}>"

    @property
    def id(self) -> str:
        """Names it in the service."""
        return self.view.id

    @property
    def path(self) -> str:
        """Of the resource."""
        return f"{PATH}/{self.id}"

    def refresh(self) -> PredictionView:
        """Asks the service how far it is."""
        self.view = self._connection.read(PredictionView, "GET", self.path)
        return self.view

    def wait(self, progress: Progress | None = None, *, timeout_s: float | None = None) -> Summary:
        """The answer in numbers, once it is there.

        Args:
            progress: called with the stage (its status where it has none) and the share of it that is done.
            timeout_s: how long to wait at most, s; None waits for as long as it takes.

        Raises:
            JobFailedError: it ended as failed.
            JobCancelledError: it was cancelled.
            WaitTimeoutError: it is not finished by then, and goes on.
            ClientError: refused or unreachable.
        """
        if self.view.status in UNFINISHED:
            for seen in follow(self._connection, self.path, timeout_s=timeout_s):
                if progress is not None:
                    progress(seen.stage or seen.status, seen.progress)
        return self._summary()

    def _summary(self) -> Summary:
        view = self.view if self.view.summary is not None else self.refresh()
        if view.status == "cancelled":
            raise JobCancelledError(f"{self.path} was cancelled")
        if view.status == "failed" or view.summary is None:
            raise JobFailedError(
                view.error or ProblemDetails(title=view.status, status=500, detail=f"it {view.status}")
            )
        return view.summary

    def cancel(self) -> PredictionView:
        """Cancels it: at once where it is queued, at its next progress where it runs.

        Raises:
            ConflictError: it is finished.
        """
        self.view = self._connection.read(PredictionView, "POST", f"{self.path}/cancel")
        return self.view

    def delete(self) -> None:
        """Forgets it, its verification and their files.

        Raises:
            ConflictError: it is not finished.
        """
        self._connection.send("DELETE", self.path)

    def verify(self) -> "Prediction":
        """Has the same problem solved by FEM, once; wait for what comes back, its summary has the differences.

        Raises:
            ConflictError: it is not done, was solved itself, or kept no fields.
        """
        return Prediction(self._connection, self._connection.read(PredictionView, "POST", f"{self.path}/verification"))

    def verification(self) -> "Prediction":
        """The verification that was asked for earlier.

        Raises:
            NotFoundError: there is none.
        """
        return Prediction(self._connection, self._connection.read(PredictionView, "GET", f"{self.path}/verification"))

    def fields(self, history: str | None = None, *, step: int | None = None) -> FieldArrays:
        """The fields of a load history at the points of the part's surface.

        Args:
            history: name of the load history; None takes the worst.
            step: index of a stored step; None takes all that are stored.
        """
        return field_arrays(self._content("fields", _choice(history, step)))

    def picture(
        self, field: PictureField = "von_mises", *, history: str | None = None, step: int | None = None
    ) -> bytes:
        """A PNG of one step; of the worst history's peak step unless told otherwise."""
        return self._content("render.png", {"field": field, **_choice(history, step)})

    def vtu(self, *, history: str | None = None, step: int | None = None) -> bytes:
        """A VTU file of one step for ParaView; of the worst history's peak step unless told otherwise."""
        return self._content("result.vtu", _choice(history, step))

    def series(self) -> bytes:
        """A ZIP with all stored steps for ParaView."""
        return self._content("series.zip")

    def report(self) -> bytes:
        """The report, one HTML file; with the differences once it is verified."""
        return self._content("report")

    def save(self, directory: Path) -> list[Path]:
        """Saves what an engineer keeps: summary.json, report.html, the pictures and result.vtu.

        Args:
            directory: made if needed.

        Returns:
            The files.
        """
        directory.mkdir(parents=True, exist_ok=True)
        contents = {
            "report.html": self.report(),
            "result.vtu": self.vtu(),
            **{f"{field}.png": self.picture(field) for field in PICTURES},
            "summary.json": self._summary().model_dump_json(indent=2).encode(),
        }
        for name, content in contents.items():
            with written_whole(directory / name) as stream:
                stream.write(content)
        return [directory / name for name in contents]

    def _content(self, name: str, query: Mapping[str, str] | None = None) -> bytes:
        return self._connection.send("GET", f"{self.path}/{name}", query=query).content


def _choice(history: str | None, step: int | None) -> dict[str, str]:
    chosen = {} if history is None else {"history": history}
    return chosen if step is None else {**chosen, "step": str(step)}
