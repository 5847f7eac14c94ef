"""Selectors form a Boolean algebra of faces, survive as plain data, and explain themselves when they fail."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surrogate.errors import SelectorError
from surrogate.geometry.selectors import (
    AllSelector,
    AnySelector,
    BoxSelector,
    CylinderSelector,
    FaceIdSelector,
    NameSelector,
    NotSelector,
    PlaneSelector,
    Selector,
    parse_selector,
    select_faces,
    selector_spec,
)
from surrogate.geometry.tet_mesh import Face, TetMesh

MM = 1e-3


def ids(mesh: TetMesh, selector: Selector) -> set[int]:
    try:
        return set(select_faces(mesh, selector))
    except SelectorError:
        return set()


directions = st.sampled_from([(1.0, 0, 0), (0, -1.0, 0), (0, 0, 2.0), (0.0, 0.05, -1.0)])
leaves = st.one_of(
    st.builds(PlaneSelector, directions, st.sampled_from([None, "min", "max"])),
    st.builds(CylinderSelector, st.sampled_from([0.005, 0.007]), hole=st.sampled_from([None, True, False])),
    st.builds(FaceIdSelector, st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple)),
    st.builds(BoxSelector, st.just((0.0, 0.0, 0.0)), st.sampled_from([(0.02, 0.03, 0.01), (0.05, 0.05, 0.005)])),
)
selectors = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(AnySelector, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AllSelector, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(NotSelector, inner),
    ),
    max_leaves=5,
)
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@law
@given(a=selectors, b=selectors)
def test_selectors_are_a_boolean_algebra(block: TetMesh, a: Selector, b: Selector) -> None:
    everything = set(range(len(block.faces)))
    assert ids(block, NotSelector(NotSelector(a))) == ids(block, a)
    assert ids(block, NotSelector(a)) == everything - ids(block, a)
    assert ids(block, AnySelector((a, b))) == ids(block, a) | ids(block, b)
    assert ids(block, AllSelector((a, b))) == ids(block, a) & ids(block, b)


@law
@given(selector=selectors)
def test_plain_data_gives_the_selector_back(selector: Selector) -> None:
    assert parse_selector(selector_spec(selector)) == selector


def test_faces_of_the_block(block: TetMesh) -> None:
    (hole,) = select_faces(block, CylinderSelector(5 * MM, axis=(0, 0.05, -1), hole=True, expect=1))
    assert block.faces[hole].kind == "cylinder"
    (bottom,) = select_faces(block, PlaneSelector((0, 0, -1), "min"))
    assert block.faces[bottom].centroid[2] == pytest.approx(0)
    (top,) = select_faces(block, PlaneSelector((0, 0, 1), "max", expect=1))
    assert block.faces[top].centroid[2] == pytest.approx(10 * MM)
    assert select_faces(block, CylinderSelector(5.2 * MM, tolerance=0.05)) == (hole,)
    with pytest.raises(SelectorError):
        select_faces(block, CylinderSelector(5.2 * MM, tolerance=0.02))
    with pytest.raises(SelectorError):
        select_faces(block, CylinderSelector(5 * MM, hole=False))


def test_at_keeps_only_the_extreme_faces() -> None:
    faces = tuple(
        Face(i, None, "plane", 1.0, (0.0, 0.0, z), normal=(0.0, 0.0, -1.0)) for i, z in enumerate((0.0, 1.0, 0.0, 2.0))
    )
    points = [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2], *[[1, 1, 1]] * 6]
    mesh = TetMesh(points, [list(range(10))], [[0, 1, 2, 4, 5, 6]] * 4, [0, 1, 2, 3], faces)  # type: ignore[arg-type]
    assert select_faces(mesh, PlaneSelector((0, 0, -1), "min")) == (0, 2)
    assert select_faces(mesh, PlaneSelector((0, 0, -1), "max")) == (3,)
    assert select_faces(mesh, PlaneSelector((0, 0, -3))) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (
            NameSelector("bolts"),
            "name 'bolts' matched 0 faces; no face is named; cylinders in this part have radii 5.0 mm",
        ),
        (NotSelector(NameSelector("bolts")), "no face is named 'bolts'"),
        (CylinderSelector(0.003), "cylinder of radius 3.0 mm matched 0 faces"),
        (PlaneSelector((0, 0, 1), expect=2), "matched 1 faces"),
        (PlaneSelector((1, 1, 1)), "planes have normals (-1, 0, 0)"),
        (FaceIdSelector((2, 40)), "no face 40; face ids are 0 to 6"),
        (BoxSelector((1, 1, 1), (2, 2, 2)), "it spans (0, 0, 0) to (0.04, 0.03, 0.01) m"),
        (AnySelector((CylinderSelector(0.005, expect=4), FaceIdSelector((0,)))), "matched 1 faces"),
        (PlaneSelector((0, 0, 0)), "not zero"),
    ],
)
def test_failures_say_what_the_part_has(block: TetMesh, selector: Selector, text: str) -> None:
    with pytest.raises(SelectorError, match=re.escape(text)):
        select_faces(block, selector)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "exactly one of the keys name, cylinder, plane, box, face_ids, any, all, not"),
        ({"nam": "x"}, "exactly one of the keys name"),
        ({"name": "x", "box": []}, "exactly one"),
        ({"name": ""}, "non-empty"),
        ({"cylinder": {"radius": 3}}, "no key 'radius'; allowed are radius_m, tolerance, axis, hole"),
        ({"cylinder": {"tolerance": 0.1}}, "needs radius_m"),
        ({"cylinder": {"radius_m": float("nan")}}, "finite number"),
        ({"cylinder": {"radius_m": 1, "hole": 1}}, "true or false"),
        ({"plane": {"normal": [0, 0, 0]}}, "zero vector"),
        ({"plane": {"normal": [0, 0, 1], "at": "top"}}, '"min" or "max"'),
        ({"box": [[0, 0, 0]]}, "two corners"),
        ({"face_ids": [1, -2]}, "not negative"),
        ({"face_ids": [1], "expect": 0}, "at least 1"),
        ({"face_ids": [1], "expect": True}, "at least 1"),
        ({"any": []}, "at least one"),
        ({"not": [{"name": "x"}]}, "table of keys"),
    ],
)
def test_specs_are_checked(spec: dict[str, object], text: str) -> None:
    with pytest.raises(SelectorError, match=re.escape(text)):
        parse_selector(spec)


def test_deep_nesting_is_refused() -> None:
    spec: dict[str, object] = {"name": "x"}
    for _ in range(1000):
        spec = {"not": spec}
    with pytest.raises(SelectorError, match="nested deeper"):
        parse_selector(spec)
