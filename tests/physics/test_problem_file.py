"""The problem file: what it accepts becomes the problem that is written, what it refuses says why and what to do."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from surrogate.errors import InputError, ProblemError, SelectorError
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.loads import nodal_forces
from surrogate.physics.materials import material_named
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Moment,
    Pressure,
    Problem,
    RemoteForce,
    Traction,
)
from surrogate.physics.problem_file import (
    build_problem,
    load_problem,
    parse_problem_spec,
    problem_spec,
    read_histories,
    read_problem_file,
)
from surrogate.physics.problem_schema import LOAD_KINDS, MAX_FACTORS, MAX_HISTORIES, MAX_STEPS, ProblemSpec
from surrogate.physics.supports import freedom_basis
from surrogate.physics.tet_element import gradients_and_volumes
from tests.physics.meshes import block, full_tube

ROOT = Path(__file__).parents[2]

MESH = block((2, 1, 1))
LEFT = {"plane": {"normal": [-1, 0, 0], "at": "min"}}
RIGHT = {"plane": {"normal": [1, 0, 0], "at": "max"}}
TABLE = {
    "youngs_modulus_pa": 70e9,
    "poissons_ratio": 0.3,
    "density_kg_m3": 2700,
    "yield_strength_pa": 200e6,
    "ultimate_strength_pa": 300e6,
    "hardening": {"linear_modulus_pa": 1e9},
}


def spec(**changes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "material": "Al 7075-T6",
        "supports": [{"faces": LEFT}],
        "load_cases": [{"name": "pull", "loads": [{"faces": RIGHT, "force_n": [1.0, 0.0, 0.0]}]}],
    }
    return plain | changes


def refusal(**changes: object) -> str:
    with pytest.raises(InputError) as caught:
        build_problem(parse_problem_spec(spec(**changes)), MESH)
    return str(caught.value)


def load_refusal(**load: object) -> str:
    return refusal(load_cases=[{"name": "pull", "loads": [load]}])


def test_a_plain_file_becomes_the_problem_that_it_says() -> None:
    problem = build_problem(parse_problem_spec(spec()), MESH, name="plate")
    assert problem.name == "plate"
    assert problem.material == material_named("Al 7075-T6")
    assert problem.supports[0].fixed == ("x", "y", "z")
    load = problem.load_cases[0].loads[0]
    assert isinstance(load, Force) and load.force_n == (1.0, 0.0, 0.0)


def test_without_histories_every_case_is_ramped_to_one() -> None:
    history = build_problem(parse_problem_spec(spec()), MESH).load_histories[0]
    assert history.name == "ramp"
    assert history.factors[-1].tolist() == [1.0]
    assert (np.diff(history.factors[:, 0]) > 0).all()


def test_every_load_is_read_and_written_down_again() -> None:
    bottom, top = ({"plane": {"normal": [0, 0, z]}} for z in (-1, 1))
    bore = {"cylinder": {"radius_m": 1.0, "hole": True}}
    loads = [
        {"faces": bore, "force_n": [1, 2, 3]},
        {"faces": top, "force_n": [1, 2, 3], "point_m": [7, 8, 9]},
        {"faces": bore, "bearing_force_n": [1, 2, 0]},
        {"faces": top, "moment_nm": [1, 2, 3]},
        {"faces": top, "traction_pa": [4, 5, 6]},
        {"faces": bore, "pressure_pa": 7},
        {"acceleration_m_s2": [0, 0, -9.81]},
    ]
    supports = [{"faces": bottom, "meeting": bore, "fixed": "z"}, {"faces": bottom}]
    read = parse_problem_spec(spec(supports=supports, load_cases=[{"name": "all", "loads": loads}]))
    built = build_problem(read, full_tube(1, 8, 1, 1.0, 2.0, 1.0))
    assert [type(load) for load in built.load_cases[0].loads] == [
        Force, RemoteForce, BearingForce, Moment, Traction, Pressure, Acceleration
    ]  # fmt: skip
    again = build_problem(ProblemSpec.model_validate_json(problem_spec(built).model_dump_json()), built.mesh)
    assert (again.supports, again.load_cases) == (built.supports, built.load_cases)


def test_a_case_that_a_history_leaves_out_stays_at_zero() -> None:
    cases = [{"name": n, "loads": [{"faces": RIGHT, "pressure_pa": 1.0}]} for n in ("a", "b", "c")]
    histories = [{"name": "only b", "factors": {"b": [0.5, 1.0]}}]
    problem = build_problem(parse_problem_spec(spec(load_cases=cases, load_histories=histories)), MESH)
    assert problem.load_histories[0].factors.tolist() == [[0, 0.5, 0], [0, 1.0, 0]]


@pytest.mark.parametrize("material", ["Ti-6Al-4V", TABLE, TABLE | {"name": "mine", "source": "tested"}])
def test_a_problem_is_written_down_as_it_was_read(material: object) -> None:
    loads = [{"faces": RIGHT, "pressure_pa": 7.0}, {"acceleration_m_s2": [0.0, 0.0, -9.81]}]
    cases = [{"name": "a", "loads": loads}, {"name": "b", "loads": [{"faces": RIGHT, "traction_pa": [4, 5, 6]}]}]
    supports = [{"faces": LEFT, "fixed": ["x"]}, {"faces": {"any": [LEFT, RIGHT]}, "fixed": "normal"}]
    histories = [{"name": "h", "factors": {"a": [0.5, 1.0], "b": [1.0, -1.0]}}]
    first = build_problem(
        parse_problem_spec(spec(material=material, supports=supports, load_cases=cases, load_histories=histories)), MESH
    )
    written = ProblemSpec.model_validate_json(problem_spec(first).model_dump_json())
    second = build_problem(written, MESH)
    assert (second.material, second.supports, second.load_cases) == (first.material, first.supports, first.load_cases)
    assert np.array_equal(second.load_histories[0].factors, first.load_histories[0].factors)


def test_an_unknown_key_is_refused_with_the_likely_one() -> None:
    message = load_refusal(faces=RIGHT, force=[1, 0, 0])
    assert "load_cases[0].loads[0]" in message and "did you mean force_n" in message


def test_a_missing_key_is_named() -> None:
    assert "supports is missing" in refusal(supports=None) or "supports" in refusal(supports=None)
    assert "material.density_kg_m3 is missing; add it" in refusal(
        material={key: value for key, value in TABLE.items() if key != "density_kg_m3"}
    )


def test_a_load_has_exactly_one_kind() -> None:
    assert "exactly one of force_n" in load_refusal(faces=RIGHT)
    assert "given: force_n, pressure_pa" in load_refusal(faces=RIGHT, force_n=[1, 0, 0], pressure_pa=1.0)


def test_faces_go_with_surface_loads_only() -> None:
    assert "needs faces" in load_refusal(pressure_pa=1.0)
    assert "whole part" in load_refusal(faces=RIGHT, acceleration_m_s2=[0, 0, -9.81])


def test_a_point_goes_with_a_force_only() -> None:
    assert "point_m is where a force_n acts, but the load is moment_nm; remove" in load_refusal(
        faces=RIGHT, moment_nm=[1, 0, 0], point_m=[0, 0, 0]
    )


def test_a_bearing_force_on_what_is_no_hole_names_its_place_and_the_cylinders() -> None:
    message = load_refusal(faces=RIGHT, bearing_force_n=[1, 0, 0])
    assert message.startswith("load case 'pull', loads[0]: bearing_force_n acts on hole walls, but face ")
    assert "this part has no cylinders" in message and "use force_n" in message


def test_a_support_on_an_edge_names_its_place_where_the_faces_do_not_meet() -> None:
    apart = refusal(supports=[{"faces": LEFT, "meeting": RIGHT}])
    assert apart.startswith("supports[0]: ") and "share no edge" in apart and "select among these" in apart
    same = refusal(supports=[{"faces": LEFT, "meeting": {"any": [LEFT, RIGHT]}}])
    assert same.startswith("supports[0]: ") and "both match face" in same
    nothing = {"cylinder": {"radius_m": 0.003}}
    assert refusal(supports=[{"faces": LEFT, "meeting": nothing}]).startswith("supports[0].meeting: ")


@pytest.mark.parametrize(
    ("hardening", "law"),
    [
        ({"linear_modulus_pa": 1e9}, LinearHardening(1e9)),
        ({"voce": {"saturation_pa": 120e6, "rate": 15}}, VoceHardening(120e6, 15.0)),
        ({"table": [[0, 200e6], [0.01, 230e6], [0.1, 300e6]]},
         TabulatedHardening(((0.0, 200e6), (0.01, 230e6), (0.1, 300e6)))),
    ],
)  # fmt: skip
def test_each_hardening_becomes_its_law_and_is_written_as_it_was_read(
    hardening: dict[str, object], law: Hardening
) -> None:
    problem = build_problem(parse_problem_spec(spec(material=TABLE | {"hardening": hardening})), MESH)
    assert problem.material.hardening == law
    written = json.loads(problem_spec(problem).model_dump_json(exclude_none=True))
    assert written["material"]["hardening"] == hardening
    assert build_problem(parse_problem_spec(written), MESH).material == problem.material


@pytest.mark.parametrize(
    ("hardening", "message"),
    [
        ({}, "hardening has exactly one of linear_modulus_pa, voce, table; given: none"),
        ({"linear_modulus_pa": 1e9, "table": [[0, 200e6], [1, 200e6]]}, "given: linear_modulus_pa, table"),
        ({"linear_modulus_pa": -1e9}, "linear_modulus_pa = -1000000000.0"),
        ({"voce": {"saturation_pa": 1e8}}, "material.hardening.voce.rate is missing; add it"),
        ({"voce": {"saturation_pa": 1e8, "rate": -5}}, "material.hardening.voce.rate = -5"),
        ({"table": [[0, 200e6]]}, "at least 2"),
        ({"table": [[0, 200e6], [0.1, float("nan")]]}, "material.hardening.table[1][1] = nan"),
        ({"table": [[0, 200e6], [0.1, 190e6]]}, "softening is not modelled"),
        ({"table": [[0, 200e6], [0.1, 210e6], [0.05, 220e6]]}, "row 3: plastic strain 0.05 after 0.1"),
        ({"table": [[0, 210e6], [0.1, 220e6]]}, "yield_strength_pa is 2e+08; make them equal"),
    ],
)
def test_a_wrong_hardening_is_refused_with_its_remedy(hardening: dict[str, object], message: str) -> None:
    assert message in refusal(material=TABLE | {"hardening": hardening})


def test_numbers_must_be_finite_numbers() -> None:
    assert "force_n[1] = nan" in load_refusal(faces=RIGHT, force_n=[0, float("nan"), 0])
    assert "pressure_pa = '5 MPa'" in load_refusal(faces=RIGHT, pressure_pa="5 MPa")
    assert "pressure_pa = True" in load_refusal(faces=RIGHT, pressure_pa=True)


def test_an_unknown_case_lists_the_known_ones() -> None:
    message = refusal(load_histories=[{"name": "h", "factors": {"push": [1.0]}}])
    assert "'push'" in message and "known: pull" in message


def test_cases_of_different_length_are_refused() -> None:
    cases = [{"name": n, "loads": [{"faces": RIGHT, "pressure_pa": 1.0}]} for n in ("a", "b")]
    histories = [{"name": "h", "factors": {"a": [1.0, 0.0], "b": [1.0]}}]
    assert "a: 2, b: 1" in refusal(load_cases=cases, load_histories=histories)


def test_a_selector_that_finds_nothing_names_its_place() -> None:
    nothing = {"cylinder": {"radius_m": 0.003}}
    with pytest.raises(SelectorError, match=r"^supports\[1\]\.faces: "):
        build_problem(parse_problem_spec(spec(supports=[{"faces": LEFT}, {"faces": nothing}])), MESH)
    assert "load case 'pull', loads[0].faces: " in load_refusal(faces=nothing, pressure_pa=1.0)


def test_hostile_sizes_are_refused() -> None:
    long = {"name": "h", "factors": {"pull": [0.0] * (MAX_STEPS + 1)}}
    assert "at most 5000" in refusal(load_histories=[long])
    many = [{"name": f"h{i}", "factors": {"pull": [1.0]}} for i in range(MAX_HISTORIES + 1)]
    assert "at most 2000" in refusal(load_histories=many)
    cases = [{"name": f"c{i}", "loads": [{"faces": RIGHT, "pressure_pa": 1.0}]} for i in range(50)]
    steps = MAX_FACTORS // 50 // 40 + 1
    wide = [{"name": f"h{i}", "factors": {"c0": [1.0] * steps}} for i in range(40)]
    assert f"over {MAX_FACTORS} factors" in refusal(load_cases=cases, load_histories=wide)


def test_histories_come_from_a_csv(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("\ufeffhistory, pull ,push\nup,0.5,1\nup,1,2\n\nback,0,-1\n", encoding="utf-8")
    assert read_histories(tmp_path / "s.csv") == [
        {"name": "up", "factors": {"pull": [0.5, 1.0], "push": [1.0, 2.0]}},
        {"name": "back", "factors": {"pull": [0.0], "push": [-1.0]}},
    ]


def test_a_csv_without_a_history_column_is_one_history_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "spectrum.csv").write_text("pull\n0.5\n1\n")
    assert read_histories(tmp_path / "spectrum.csv") == [{"name": "spectrum", "factors": {"pull": [0.5, 1.0]}}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pull\n", "has no steps"),
        ("pull,pull\n1,2\n", "must be unique"),
        ("pull,push\n1\n", "row 2: 1 cells for 2 columns"),
        ("pull\nhigh\n", "row 2, column 'pull': 'high' is not a number"),
        ("pull\ninf\n", "is not finite"),
    ],
)
def test_a_wrong_csv_names_the_row(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(ProblemError, match=message):
        read_histories(tmp_path / "s.csv")


HEAD = 'part = "p.step"\nmaterial = "Al 7075-T6"\n'
BODY = (
    "[[supports]]\nfaces = {face_ids = [0]}\n[[load_cases]]\nname = 'pull'\n"
    "[[load_cases.loads]]\nfaces = {face_ids = [1]}\nforce_n = [1.0, 0.0, 0.0]\n"
)


def written(directory: Path, text: str) -> Path:
    path = directory / "problem.toml"
    path.write_text(text)
    return path


def test_the_csv_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("pull\n1\n")
    file = read_problem_file(written(tmp_path, HEAD + 'histories = "s.csv"\n' + BODY))
    assert file.load_histories[0].factors == {"pull": (1.0,)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part = ", "not valid TOML"),
        (HEAD + "histories = 'no.csv'\n" + BODY, "cannot read the CSV"),
        (HEAD + "elment_size_m = 1\n" + BODY, "did you mean element_size_m"),
        (HEAD + "element_size_m = -1.0\n" + BODY, "element_size_m = -1.0"),
        (HEAD + "histories = 's.csv'\n[[load_histories]]\nname = 'h'\nfactors = {pull = [1.0]}\n" + BODY, "exclude"),
        ('material = "Al 7075-T6"\n' + BODY, "part is missing"),
    ],
)
def test_a_wrong_file_is_refused_readably(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        read_problem_file(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="cannot read the problem file"):
        read_problem_file(tmp_path / "none.toml")


@pytest.fixture(scope="module")
def bracket() -> Problem:
    return load_problem(ROOT / "meshes" / "bracket.toml")


def test_a_sample_part_is_loaded_and_named_after_its_file(bracket: Problem) -> None:
    assert bracket.name == "bracket"
    assert [case.name for case in bracket.load_cases] == ["pull", "side"]


def test_the_page_on_the_problem_file_tells_every_load_and_its_example_builds(bracket: Problem, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "problem_file.md").read_text()
    assert all(f"| `{kind}` |" in page for kind in LOAD_KINDS)
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    problem = build_problem(read_problem_file(written(tmp_path, example)), bracket.mesh)
    freedom_basis(problem.mesh, problem.supports)
    volumes = gradients_and_volumes(problem.mesh.points, problem.mesh.cells)[1]
    pin, boom = nodal_forces(problem.load_cases, problem.mesh, problem.material.density_kg_m3, volumes)
    np.testing.assert_allclose(pin.sum(axis=0), [0.0, 3000.0, 2000.0], atol=1e-10 * 3600)
    weight = 9.81 * problem.material.density_kg_m3 * volumes.sum()
    np.testing.assert_allclose(boom.sum(axis=0), [0.0, 200.0, -500.0 - weight], atol=1e-10 * np.abs(boom).sum())
