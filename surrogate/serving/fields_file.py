"""Results and meshes on disk: one `.npz` each, arrays plus a JSON header, never pickled.

A result can be large, so the tensor fields are kept in single precision (relative rounding 6e-8, far below the
accuracy of any answer); scalars stay in double precision. Files appear whole or not at all: they are written under a
temporary name, flushed and renamed.
"""

import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import InputError
from surrogate.fields import (
    Collapse,
    DomainVerdict,
    Fields,
    FloatArray,
    HistoryFields,
    HistoryScalars,
    Method,
    ModelIdentity,
    StepBalance,
    StepScalars,
)
from surrogate.geometry.tet_mesh import Face, FaceKind, TetMesh, Vector

FORMAT = 2
_TENSORS = ("displacement", "stress", "plastic_strain", "equivalent_plastic_strain")
_STEP_SCALARS = ("scalars", "scalars_low", "scalars_high")
_TOTALS = ("totals", "totals_low", "totals_high")

Arrays = dict[str, NDArray[np.generic]]
Header = Mapping[str, object]


def save_fields(path: Path, answer: Fields) -> None:
    """Writes an answer, replacing what is there.

    Args:
        path: where to, usually ending in `.npz`.
        answer: what `solve` or `predict` returned.
    """
    header = {
        "kind": "fields",
        "format": FORMAT,
        "method": answer.method,
        "timings_s": dict(answer.timings_s),
        "warnings": list(answer.warnings),
        "domain": asdict(answer.domain) if answer.domain else None,
        "model": asdict(answer.model) if answer.model else None,
        "histories": [_history_header(history) for history in answer.histories],
    }
    arrays: Arrays = {"quadrature_volume": answer.quadrature_volume}
    for index, history in enumerate(answer.histories):
        arrays |= {f"{index}.{name}": array for name, array in _history_arrays(history).items()}
    _write(path, header, arrays)


def load_fields(path: Path, *, history: str | None = None) -> Fields:
    """Reads an answer.

    Args:
        path: a file of `save_fields`.
        history: only this load history, which spares reading the others; None for all.

    Raises:
        InputError: not such a file, or no history of that name in it.
    """
    header, arrays = _open(path, "fields")
    with arrays:
        entries = cast(list[Header], header["histories"])
        wanted = [index for index, entry in enumerate(entries) if history in (None, entry["name"])]
        if history is not None and not wanted:
            known = ", ".join(repr(entry["name"]) for entry in entries)
            raise InputError(f"no load history {history!r} in this result; it has {known}")
        domain = cast(Header | None, header["domain"])
        model = cast(dict[str, str] | None, header["model"])
        return Fields(
            method=cast(Method, header["method"]),
            histories=tuple(_history(entries[index], arrays, f"{index}.") for index in wanted),
            quadrature_volume=arrays["quadrature_volume"],
            timings_s=cast(dict[str, float], header["timings_s"]),
            warnings=tuple(cast(list[str], header["warnings"])),
            domain=_domain(domain) if domain else None,
            model=ModelIdentity(**model) if model else None,
        )


def load_arrays(path: Path, history: str, names: Sequence[str]) -> Arrays:
    """Some arrays of one load history as they are stored, which spares reading and widening the others.

    Args:
        path: a file of `save_fields`.
        history: name of the load history.
        names: of `HistoryFields`, with a dot for those within its scalars ("scalars.peak_von_mises_pa"), or
            "quadrature_volume", which all histories share.

    Returns:
        By name; what the answer does not have (intervals of a solved one) is left out.

    Raises:
        InputError: not such a file, or no history of that name in it.
    """
    header, arrays = _open(path, "fields")
    with arrays:
        known = [str(entry["name"]) for entry in cast(list[Header], header["histories"])]
        if history not in known:
            raise InputError(f"no load history {history!r} in this result; it has {', '.join(map(repr, known))}")
        prefix = f"{known.index(history)}."
        stored = {name: name if name == "quadrature_volume" else prefix + name for name in names}
        return {name: arrays[place] for name, place in stored.items() if place in arrays}


def save_mesh(path: Path, mesh: TetMesh) -> None:
    """Writes a mesh with its faces, so that a part is meshed once."""
    header = {"kind": "mesh", "format": FORMAT, "faces": [asdict(face) for face in mesh.faces]}
    _write(
        path,
        header,
        {
            "points": mesh.points,
            "cells": mesh.cells,
            "triangles": mesh.triangles,
            "triangle_face": mesh.triangle_face,
        },
    )


def load_mesh(path: Path) -> TetMesh:
    """Reads a mesh of `save_mesh`, bit for bit.

    Raises:
        InputError: not such a file.
    """
    header, arrays = _open(path, "mesh")
    with arrays:
        return TetMesh(
            points=arrays["points"],
            cells=arrays["cells"],
            triangles=arrays["triangles"],
            triangle_face=arrays["triangle_face"],
            faces=tuple(_face(entry) for entry in cast(list[Header], header["faces"])),
        )


def _history_header(history: HistoryFields) -> dict[str, object]:
    totals = {name: getattr(history, name) for name in _TOTALS}
    return {
        "name": history.name,
        "collapse": asdict(history.collapse) if history.collapse else None,
        **{name: asdict(value) if value else None for name, value in totals.items()},
    }


def _history_arrays(history: HistoryFields) -> Arrays:
    arrays: Arrays = {"factors": history.factors, "steps": history.steps}
    arrays |= {name: getattr(history, name).astype(np.float32) for name in _TENSORS}
    for group in _STEP_SCALARS:
        scalars: StepScalars | None = getattr(history, group)
        if scalars is not None:
            arrays |= {f"{group}.{entry.name}": getattr(scalars, entry.name) for entry in fields(StepScalars)}
    if history.balance is not None:
        arrays |= {f"balance.{entry.name}": getattr(history.balance, entry.name) for entry in fields(StepBalance)}
    return arrays


def _history(entry: Header, arrays: "np.lib.npyio.NpzFile", prefix: str) -> HistoryFields:
    def tensor(name: str) -> FloatArray:
        return arrays[prefix + name].astype(np.float64)

    def step_scalars(group: str) -> StepScalars | None:
        if f"{prefix}{group}.{fields(StepScalars)[0].name}" not in arrays:
            return None
        return StepScalars(**{part.name: arrays[f"{prefix}{group}.{part.name}"] for part in fields(StepScalars)})

    def balance() -> StepBalance | None:
        if f"{prefix}balance.{fields(StepBalance)[0].name}" not in arrays:
            return None
        return StepBalance(**{part.name: arrays[f"{prefix}balance.{part.name}"] for part in fields(StepBalance)})

    def totals(group: str) -> HistoryScalars | None:
        values = cast(dict[str, float] | None, entry[group])
        return HistoryScalars(**values) if values else None

    scalars, whole = step_scalars("scalars"), totals("totals")
    if scalars is None or whole is None:
        raise InputError(f"history {entry['name']!r} of the result file has no scalars; predict again")
    collapse = cast(Header | None, entry["collapse"])
    return HistoryFields(
        name=str(entry["name"]),
        factors=arrays[prefix + "factors"],
        steps=arrays[prefix + "steps"],
        displacement=tensor("displacement"),
        stress=tensor("stress"),
        plastic_strain=tensor("plastic_strain"),
        equivalent_plastic_strain=tensor("equivalent_plastic_strain"),
        scalars=scalars,
        totals=whole,
        scalars_low=step_scalars("scalars_low"),
        scalars_high=step_scalars("scalars_high"),
        totals_low=totals("totals_low"),
        totals_high=totals("totals_high"),
        collapse=_collapse(collapse) if collapse else None,
        balance=balance(),
    )


def _collapse(entry: Header) -> Collapse:
    return Collapse(
        step=cast(int, entry["step"]),
        fraction=cast(float, entry["fraction"]),
        reason=str(entry["reason"]),
        factors=tuple(cast(list[float], entry["factors"])),
        load_factor=cast(float, entry["load_factor"]),
    )


def _domain(entry: Header) -> DomainVerdict:
    return DomainVerdict(cast(float, entry["score"]), bool(entry["inside"]), str(entry["reason"]))


def _face(entry: Header) -> Face:
    def vector(name: str) -> Vector | None:
        value = cast(list[float] | None, entry[name])
        return (value[0], value[1], value[2]) if value else None

    centroid = vector("centroid")
    assert centroid is not None
    return Face(
        id=cast(int, entry["id"]),
        name=cast(str | None, entry["name"]),
        kind=cast(FaceKind, entry["kind"]),
        area=cast(float, entry["area"]),
        centroid=centroid,
        normal=vector("normal"),
        axis=vector("axis"),
        radius=cast(float | None, entry["radius"]),
        hole=cast(bool | None, entry["hole"]),
    )


def _write(path: Path, header: Header, arrays: Arrays) -> None:
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with written_whole(path) as stream:
        np.savez(stream, header=text, **arrays)  # type: ignore[arg-type]


def _open(path: Path, kind: str) -> "tuple[Header, np.lib.npyio.NpzFile]":
    try:
        arrays = np.load(path, allow_pickle=False)
        header: Header = json.loads(arrays["header"].tobytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path.name} is not a {kind} file of this program ({error}); make it again") from error
    if header.get("kind") != kind or header.get("format") != FORMAT:
        raise InputError(
            f"{path.name} holds {header.get('kind')!r} in format {header.get('format')!r}, expected {kind!r} in "
            f"format {FORMAT}; make it again with this version"
        )
    return header, arrays


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content appears under `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
