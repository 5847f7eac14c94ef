"""Verbs that run the service and list what there is: serve, materials, models."""

from pathlib import Path
from typing import Annotated

import typer

from surrogate.cli.options import AsJson
from surrogate.serving.terminal import console, print_json, reported


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; default 8000.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of uploads and results.")] = None,
) -> None:
    """Run the REST service; SURROGATE_... variables of the environment set what is not given here.

    Example: surrogate serve --port 8080
    """
    with reported(False):
        from api.app import serve as run_service
        from api.settings import Settings

        given = {"host": host, "port": port, "data_directory": data}
        run_service(Settings.model_validate({name: value for name, value in given.items() if value is not None}))


def worker(
    name: Annotated[str | None, typer.Option(help="Stable name of this worker, another one for each.")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory that it shares with the service.")] = None,
) -> None:
    """Run a worker of a REST service that runs elsewhere; SURROGATE_DATABASE_URL names their Postgres database.

    Example: surrogate worker --name worker-3
    """
    with reported(False):
        from api.settings import Settings
        from api.supervisor import run_worker

        given = {"worker_id": name, "data_directory": data}
        run_worker(Settings.model_validate({name: value for name, value in given.items() if value is not None}))


def materials(as_json: AsJson = False) -> None:
    """List the library of materials.

    Example: surrogate materials --json
    """
    with reported(as_json):
        from surrogate.physics.material_description import material_spec
        from surrogate.physics.materials import library
        from surrogate.serving.console import print_materials

        if as_json:
            tables = [material_spec(material).model_dump(exclude_none=True) for material in library()]
            moduli = [material.hardening_modulus_pa for material in library()]
            print_json([{**t, "hardening_modulus_pa": modulus} for t, modulus in zip(tables, moduli, strict=True)])
        else:
            print_materials(library(), console())


def models(as_json: AsJson = False) -> None:
    """List the trained models.

    Example: surrogate models
    """
    with reported(as_json):
        from surrogate.serving.registry import list_models

        cards = list_models()
        if as_json:
            print_json([{"name": c.name, "version": c.version, "description": c.description} for c in cards])
        for card in () if as_json else cards:
            typer.echo(f"{card.name} {card.version}  {card.description}")
