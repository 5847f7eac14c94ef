"""What a run leaves in its directory: summary.json, a series for ParaView, pictures and the report."""

from pathlib import Path

from surrogate.fields import Fields
from surrogate.physics.problem import Problem
from surrogate.serving.fields_file import written_whole
from surrogate.serving.report import write_report
from surrogate.serving.series import write_series
from surrogate.serving.summary import compare_summary, summarize
from surrogate.serving.summary_schema import Summary


def summary_of(problem: Problem, fields: Fields, reference: Fields | None = None) -> Summary:
    """Summary of an answer, with the difference to a reference where there is one."""
    return summarize(problem, fields) if reference is None else compare_summary(problem, fields, reference)


def write_outputs(problem: Problem, fields: Fields, directory: Path, *, reference: Fields | None = None) -> Summary:
    """Write everything an engineer takes away from a run.

    Args:
        problem: what was asked.
        fields: the answer.
        directory: made if needed; files of an earlier run are replaced. A reference goes into `solved/`.
        reference: the solved answer to compare with.

    Returns:
        The summary that was written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    summary = summary_of(problem, fields, reference)
    with written_whole(directory / "summary.json") as stream:
        stream.write(summary.model_dump_json(indent=2).encode())
    write_series(problem, fields, directory)
    if reference is not None:
        write_series(problem, reference, directory / "solved")
    write_report(problem, fields, directory, reference=reference)
    return summary
