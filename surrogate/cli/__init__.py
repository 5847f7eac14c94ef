"""The command line, verbs in pipeline order. Heavy libraries are imported where a verb needs them.

Results go to standard output, progress and errors to standard error. Exit codes: 0 done; 1 a limit is breached;
2 the input is wrong; 3 infrastructure; 4 inconclusive.
"""

from collections.abc import Callable

import typer

from surrogate.cli.answering import compare, mesh, predict, solve
from surrogate.cli.importing import check, import_data
from surrogate.cli.keys import keys
from surrogate.cli.model_making import calibrate, campaign, evaluate, publish, train
from surrogate.cli.operating import materials, models, serve, worker

app = typer.Typer(
    name="surrogate",
    help="Elastoplastic load histories of parts: a reference FEM solver and a world model that predicts its answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_VERBS: dict[str, Callable[..., None]] = {
    "mesh": mesh, "solve": solve, "predict": predict, "compare": compare,
    "campaign": campaign, "import": import_data, "check": check,
    "train": train, "evaluate": evaluate, "calibrate": calibrate, "publish": publish,
    "serve": serve, "worker": worker, "materials": materials, "models": models,
}  # fmt: skip
for _name, _verb in _VERBS.items():
    app.command(_name)(_verb)
app.add_typer(keys)
