"""Verbs that look after training data: import of foreign results, and the check of what lies in a directory."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.serving.terminal import progress_bars, reported


def import_data(
    source: Annotated[
        Path,
        typer.Argument(help="A problem file, or a simulation file (.h5) of this program's schema.", show_default=False),
    ],
    results: Annotated[
        list[Path] | None,
        typer.Argument(help="With a problem file: a PVD series (or a VTU) for each load history, in their order."),
    ] = None,
    into: Annotated[Path, typer.Option("--into", help="Directory of the data, made if needed.")] = Path("imported"),
    family: Annotated[
        str | None, typer.Option(help="Name under which the part is kept, e.g. wing_lug. Default: imported.")
    ] = None,
    displacement: Annotated[
        str, typer.Option(help="Name of the displacement in the result files, in the problem's length unit.")
    ] = "displacement_m",
    largest_imbalance: Annotated[
        float, typer.Option(min=0.0, help="Refuse results whose forces are further out of balance, relative.")
    ] = 0.02,
) -> None:
    """Take simulations of another program as training data.

    Example: surrogate import lug.toml lug_results.pvd --into my_data --family wing_lug --displacement U
    """
    with reported(False):
        from surrogate.data import foreign
        from surrogate.errors import InputError

        if source.suffix.lower() in (".h5", ".hdf5"):
            if results:
                raise InputError(f"{source.name} holds its own results; give no series beside it")
            done = foreign.import_simulation(source, into, family=family)
        else:
            done = foreign.import_results(
                source, results or [], into, family=family or "imported", array=displacement,
                limits=foreign.ImportLimits(imbalance=largest_imbalance),
            )  # fmt: skip
        typer.echo(
            f"written: {done.path}: {done.histories} histories, forces balanced to {done.imbalance:.1e}, "
            f"{done.yielded_share:.1%} of the volume yielded"
        )


def check(
    data: Annotated[Path, typer.Argument(help="Directory of a campaign or of imported data.", show_default=False)],
) -> None:
    """Check that simulations are finite, balanced, within the material law, and none is there twice.

    Example: surrogate check ~/.cache/surrogate/campaigns/pilot
    """
    with reported(False):
        from surrogate.data.checking import check_dataset, check_lines

        with progress_bars() as show:
            report = check_dataset(data, progress=lambda done: show("check", done))
        typer.echo(check_lines(report))
    if not report.passed:
        raise typer.Exit(1)
