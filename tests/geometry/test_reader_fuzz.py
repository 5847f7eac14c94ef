"""Sound files with a fault somewhere: a mesh or an error of ours, never anything else, and never for long."""

from pathlib import Path

import pytest

from surrogate.geometry.part import load_part
from tests.geometry.fuzzing import CPU_S, fuzz, mutated, write_seeds


@pytest.mark.slow
def test_the_seeds_are_sound(tmp_path: Path) -> None:
    """Otherwise mutated ones would be refused for another reason than their mutation."""
    for path in write_seeds(tmp_path):
        unit = None if path.suffix == ".step" else "mm"
        if path.name == "mesh.vtk":
            continue  # holds the shells and beams that gmsh writes along, which is refused
        assert len(load_part(path, length_unit=unit).cells) > 10, path.name


@pytest.mark.slow
def test_a_thousand_mutated_files(tmp_path: Path) -> None:
    outcomes = fuzz(1000, 0, tmp_path)
    print(outcomes)
    assert not outcomes.violations, "\n".join(outcomes.violations)
    assert outcomes.meshes + outcomes.errors.total() == 1000
    # Mutations go deep enough: some are survived, most are found, and some crash a reader, which is what it is all for.
    assert outcomes.meshes > 20 and outcomes.errors["GeometryError"] > 500 and outcomes.blunt
    # All attempts at a file share its limit, but for the seconds that each is rounded up to.
    assert outcomes.slowest_s < CPU_S + 5


def test_cases_are_the_same_everywhere(tmp_path: Path) -> None:
    (tmp_path / "a.vtu").write_bytes(bytes(range(256)) * 4)
    one, two = ([mutated(3, index, [tmp_path / "a.vtu"]) for index in range(50)] for _ in range(2))
    assert one == two and len({data for _, data in one}) > 40
    assert one != [mutated(4, index, [tmp_path / "a.vtu"]) for index in range(50)]
