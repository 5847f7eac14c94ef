"""What the chaos is made with: the smallest real parts and problems, each different from all others."""

import hashlib
import itertools
from dataclasses import dataclass

# A bar of 4 x 1 x 1 mm in 24 tetrahedra; the sixth face of each cube's corners is the far corner.
_LONG = 4
_TETS = ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))


@dataclass(frozen=True)
class Part:
    """A file to upload.

    Attributes:
        name: of the file.
        content: of the file.
    """

    name: str
    content: bytes

    @property
    def digest(self) -> str:
        """sha256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def part(number: int) -> Part:
    """A bar of its own width, as an Abaqus deck."""
    width = 1.0 + 1e-4 * number
    corners = list(itertools.product(range(_LONG + 1), (0, 1), (0, 1)))
    index = {corner: place + 1 for place, corner in enumerate(corners)}
    lines = ["*NODE", *(f"{index[i, j, k]}, {i}, {j * width:.6f}, {k}" for i, j, k in corners)]
    lines.append("*ELEMENT, TYPE=C3D4, ELSET=ALL")
    for i in range(_LONG):
        ring = ((i, 0, 0), (i + 1, 0, 0), (i + 1, 1, 0), (i, 1, 0), (i, 0, 1), (i + 1, 0, 1), (i + 1, 1, 1), (i, 1, 1))
        cube = [index[corner] for corner in ring]
        for place, tet in enumerate(_TETS):
            lines.append(f"{i * len(_TETS) + place + 1}, {', '.join(str(cube[corner]) for corner in tet)}")
    return Part(f"bar-{number}.inp", "\n".join([*lines, ""]).encode())


def prediction(number: int, mesh: str, fidelity: str) -> dict[str, object]:
    """A problem on a bar: held at one end, pulled at the other, beyond yield, by a history of its own name and size."""
    pull = {
        "name": "pull",
        "loads": [{"faces": {"plane": {"normal": [1, 0, 0], "at": "max"}}, "force_n": [450.0, 0.0, 0.0]}],
    }
    return {
        "mesh": mesh,
        "name": f"job {number}",
        "material": "Al 7075-T6",
        "supports": [{"faces": {"plane": {"normal": [-1, 0, 0], "at": "min"}}, "fixed": ["x", "y", "z"]}],
        "load_cases": [pull],
        "load_histories": [{"name": f"history {number}", "factors": {"pull": [0.5, 1.0 + 1e-4 * number, 0.0]}}],
        "fidelity": fidelity,
    }


def long_prediction(number: int, mesh: str, *, histories: int = 8) -> dict[str, object]:
    """A problem whose solution takes about a second of a fast processor for each history."""
    factors = [0.5 + 0.01 * (step % 50) for step in range(2000)]
    many = [{"name": f"history {number}.{place}", "factors": {"pull": factors}} for place in range(histories)]
    return {**prediction(number, mesh, "solved"), "load_histories": many}
