"""Sample files, and meshes built without any file."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from surrogate.geometry.cell_conversion import VolumeCells, to_tet10
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.part import load_part
from surrogate.geometry.tet_mesh import TetMesh


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with block.step, coarse.stl, two.step, and meshes of the block as msh, inp, vtk and bdf."""
    directory = tmp_path_factory.mktemp("parts")
    writer = Path(__file__).with_name("part_writer.py")
    subprocess.run([sys.executable, str(writer), str(directory)], check=True, timeout=120, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def block(samples: Path) -> TetMesh:
    """The block with a hole, meshed from STEP."""
    return load_part(samples / "block.step", element_size_m=0.006)


def grid(counts: tuple[int, int, int], seed: int | None = None) -> VolumeCells:
    """Hexahedra of a sheared block; a seed shuffles the numbers of its points."""
    nx, ny, nz = counts
    lattice = np.array(list(itertools.product(range(nx + 1), range(ny + 1), range(nz + 1))), np.float64)
    number = np.arange(len(lattice))
    if seed is not None:
        number = np.random.default_rng(seed).permutation(len(lattice))
    points = np.empty_like(lattice)
    points[number] = lattice @ np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [0.1, -0.1, 1.0]])
    offsets = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    cells = [
        [number[((i + a) * (ny + 1) + j + b) * (nz + 1) + k + c] for a, b, c in offsets]
        for i, j, k in itertools.product(range(nx), range(ny), range(nz))
    ]
    return VolumeCells(points, [("hexahedron", np.array(cells, np.int32))])


@pytest.fixture
def bar() -> TetMesh:
    """A straight block of 4 x 2 x 1 m without names."""
    cells = grid((4, 2, 1))
    straight = VolumeCells(np.array(list(itertools.product(range(5), range(3), range(2))), np.float64), cells.blocks)
    points, tets, _ = to_tet10(straight)
    return build_tet_mesh(points, tets)
