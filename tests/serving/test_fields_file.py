"""A result or a mesh read back is the one that was written."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from surrogate.errors import InputError
from surrogate.fields import (
    Collapse,
    DomainVerdict,
    Fields,
    HistoryFields,
    HistoryScalars,
    ModelIdentity,
    StepBalance,
    StepScalars,
)
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.serving.fields_file import load_fields, load_mesh, save_fields, save_mesh

STEPS, STORED, POINTS, CELLS = 4, 2, 10, 1


def step_scalars(generator: np.random.Generator) -> StepScalars:
    sizes = {"peak_at_m": (STEPS, 3)}
    return StepScalars(**{entry.name: generator.random(sizes.get(entry.name, STEPS)) for entry in fields(StepScalars)})


def history(name: str, generator: np.random.Generator) -> HistoryFields:
    def tensor(*shape: int) -> np.ndarray:
        return generator.random((STORED, *shape)).astype(np.float32).astype(np.float64)

    return HistoryFields(
        name=name,
        factors=generator.random((STEPS, 2)),
        steps=np.array([1, 3], np.int32),
        displacement=tensor(POINTS, 3),
        stress=tensor(CELLS, 4, 6),
        plastic_strain=tensor(CELLS, 4, 6),
        equivalent_plastic_strain=tensor(CELLS, 4),
        scalars=step_scalars(generator),
        totals=HistoryScalars(1.25, float("inf"), 0.0, 3e6),
    )


def answer() -> Fields:
    generator = np.random.default_rng(0)
    full = replace(
        history("limit", generator),
        scalars_low=step_scalars(generator),
        scalars_high=step_scalars(generator),
        totals_low=HistoryScalars(1.0, 2.0, 0.0, 1.0),
        totals_high=HistoryScalars(2.0, 3.0, 0.0, 1.0),
        collapse=Collapse(4, 0.25, "reason", (0.5, 1.25), 0.75),
        balance=StepBalance(*(generator.random(STEPS) for _ in fields(StepBalance))),
    )
    return Fields(
        method="surrogate",
        histories=(history("ramp", generator), full),
        quadrature_volume=generator.random((CELLS, 4)),
        timings_s={"total": 1.5},
        warnings=("a sentence",),
        domain=DomainVerdict(0.4, True, "slenderness"),
        model=ModelIdentity("world", "1"),
    )


def assert_same(left: object, right: object) -> None:
    """Equal to the last bit, whatever the nesting of dataclasses."""
    if hasattr(left, "__dataclass_fields__"):
        assert type(left) is type(right)
        for entry in fields(left):  # type: ignore[arg-type]
            assert_same(getattr(left, entry.name), getattr(right, entry.name))
    elif isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right)
        assert isinstance(right, np.ndarray) and left.dtype == right.dtype
    elif isinstance(left, tuple):
        assert isinstance(right, tuple) and len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left == right


def test_fields_read_back_equal(tmp_path: Path) -> None:
    """Exact: the tensors of this answer are representable in single precision, everything else is stored as it is."""
    save_fields(tmp_path / "a.npz", answer())
    assert_same(answer(), load_fields(tmp_path / "a.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_one_history_is_read_alone(tmp_path: Path) -> None:
    save_fields(tmp_path / "a.npz", answer())
    alone = load_fields(tmp_path / "a.npz", history="limit")
    assert_same(answer().histories[1], alone.histories[0])
    with pytest.raises(InputError, match="'ramp', 'limit'"):
        load_fields(tmp_path / "a.npz", history="other")


def test_mesh_keeps_its_hash_and_faces(tmp_path: Path) -> None:
    mesh = TetMesh(
        points=np.random.default_rng(1).random((10, 3)),
        cells=np.arange(10)[None],
        triangles=np.arange(6)[None],
        triangle_face=np.zeros(1),
        faces=(
            Face(0, "lug", "plane", 0.5, (0.1, 0.2, 0.3), normal=(0.0, 0.0, 1.0)),
            Face(1, None, "cylinder", 0.5, (0.1, 0.2, 0.3), axis=(1.0, 0.0, 0.0), radius=0.003, hole=True),
        ),
    )
    save_mesh(tmp_path / "m.npz", mesh)
    loaded = load_mesh(tmp_path / "m.npz")
    assert loaded.content_hash == mesh.content_hash
    assert loaded.faces == mesh.faces


def test_foreign_and_pickled_files_are_refused(tmp_path: Path) -> None:
    """A pickle would run code of whoever wrote the file."""
    save_fields(tmp_path / "fields.npz", answer())
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "pickle.npz", header=np.array([{"kind": "fields"}], dtype=object))
    for name in ("text.npz", "pickle.npz", "missing.npz"):
        with pytest.raises(InputError, match=name):
            load_fields(tmp_path / name)
    with pytest.raises(InputError, match="expected 'mesh'"):
        load_mesh(tmp_path / "fields.npz")
