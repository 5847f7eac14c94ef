"""Options that several verbs share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Fidelity(StrEnum):
    """How far a prediction is taken towards the solved answer."""

    SURROGATE = "surrogate"
    REFINED = "refined"
    SOLVED = "solved"
    AUTO = "auto"


class Solver(StrEnum):
    """Which program solves."""

    OWN = "own"
    CALCULIX = "calculix"


ProblemPath = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The problem file.", show_default=False)]
OutDirectory = Annotated[
    Path | None, typer.Option("--out", help="Write summary.json, a ParaView series, PNG pictures and report.html here.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and errors as an RFC 9457 body.")]
FidelityOption = Annotated[Fidelity, typer.Option(help="The world model's answer, refined, solved, or as needed.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Name of a model (see `surrogate models`) or its folder.")
]
SolverOption = Annotated[Solver, typer.Option(help="The program that solves; calculix (ccx) must be installed.")]
ReferenceOption = Annotated[
    Solver, typer.Option("--reference", help="The program that solves the reference; calculix (ccx) must be installed.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, or mps.")]
AnchorSizeOption = Annotated[
    float | None, typer.Option(help="Mesh the part a second time at this element size, m, and answer from that mesh.")
]
AnchorMeshOption = Annotated[
    Path | None, typer.Option(help="A coarser mesh of the same solid to answer from, for a part that is a mesh itself.")
]
