"""A problem written as a CalculiX input deck.

Points are numbered from 1; cells keep their order of points, which CalculiX shares with VTK. Nodal forces are ours, so
that both solvers see the same loads to the last digit that the deck holds.

Shape letters: N points, T steps, K load cases.
"""

from collections.abc import Iterator

import numpy as np

from surrogate.errors import MaterialError
from surrogate.fields import FloatArray, IntArray
from surrogate.physics.hardening import LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.materials import Material
from surrogate.physics.problem import Problem
from surrogate.physics.supports import constrained_directions

# CalculiX reads at most 20 characters a number: 14 digits with sign and exponent.
# Residual forces, corrections of the displacement, and how many iterations may go into reaching them: CalculiX stops
# at 0.5 % otherwise, and gives up after 16 iterations.
_TIGHT = (
    "*CONTROLS,PARAMETERS=FIELD\n{0:.1e},{0:.1e},,,{0:.1e},1.e-12,{0:.1e},1.e-14\n"
    "*CONTROLS,PARAMETERS=TIME INCREMENTATION\n20,40,40,80,40,40,,10,,\n"
)
# The hardening lines of the deck end here; CalculiX keeps the yield stress constant beyond.
_LARGEST_PLASTIC_STRAIN = 10.0
# CalculiX holds 200 rows of a hardening curve; of more it says nothing and follows another curve.
_MOST_ROWS = 200


def write_deck(problem: Problem, factors: FloatArray, forces: FloatArray, tolerance: float) -> str:
    """The deck of one load history, one *STEP a load level, from the virgin part.

    Args:
        problem: mesh, material and supports.
        factors: of the history [T, K].
        forces: nodal forces of each load case at factor 1 [K, N, 3], N.
        tolerance: residual force over the average force, and correction over the largest increment.
    """
    mesh = problem.mesh
    lines = ["*NODE,NSET=ALL", *_rows(np.arange(1, len(mesh.points) + 1), mesh.points)]
    lines += ["*ELEMENT,TYPE=C3D10,ELSET=PART"]
    lines += [
        f"{i},{','.join(map(str, cell[:8]))},\n{cell[8]},{cell[9]}"
        for i, cell in enumerate((mesh.cells + 1).tolist(), 1)
    ]
    lines += _material_lines(problem.material)
    lines += _support_lines(*constrained_directions(mesh, problem.supports))
    controls = _TIGHT.format(tolerance).splitlines()
    for number, step in enumerate(factors):
        # Steps are told apart by the time in the output: each lasts 1 s.
        lines += [f"*STEP,INC=1000,AMPLITUDE=RAMP\n** load level {number + 1}", "*STATIC", "1.,1.,1e-6,1."]
        lines += controls if number == 0 else []
        lines += ["*CLOAD,OP=NEW", *_force_rows(np.einsum("k,kni->ni", step, forces))]
        lines += ["*NODE PRINT,NSET=ALL", "U", "*EL PRINT,ELSET=PART", "S", "*EL PRINT,ELSET=PART", "SDV"]
        lines += ["*END STEP"]
    return "\n".join(lines) + "\n"


def _rows(numbers: IntArray, values: FloatArray) -> Iterator[str]:
    return (
        f"{number},{x:.13e},{y:.13e},{z:.13e}"
        for number, (x, y, z) in zip(numbers.tolist(), values.tolist(), strict=True)
    )


def _force_rows(forces: FloatArray) -> list[str]:
    """Forces on points [N, 3]; a step without any still needs one row."""
    points, axes = np.nonzero(forces)
    if not points.size:
        return ["1,1,0."]
    values = forces[points, axes]
    return [f"{point + 1},{axis + 1},{value:.13e}" for point, axis, value in zip(points, axes, values, strict=True)]


def _material_lines(material: Material) -> list[str]:
    lines = ["*MATERIAL,NAME=M", "*ELASTIC", f"{material.youngs_modulus_pa:.13e},{material.poissons_ratio:.13e}"]
    lines += ["*PLASTIC", *(f"{stress:.13e},{strain:.13e}" for strain, stress in hardening_rows(material))]
    return [*lines, "*SOLID SECTION,ELSET=PART,MATERIAL=M"]


def hardening_rows(material: Material) -> tuple[tuple[float, float], ...]:
    """Rows (equivalent plastic strain, yield stress in Pa) of the material's hardening curve.

    A straight line and a table are exact, a Voce curve is cut into pieces by `_voce_rows`.

    Raises:
        MaterialError: a table of more rows than CalculiX holds.
    """
    law, first = material.hardening, material.yield_strength_pa
    if isinstance(law, TabulatedHardening):
        if len(law.points) > _MOST_ROWS:
            raise MaterialError(
                f"the hardening table of {material.name!r} has {len(law.points)} rows and CalculiX holds {_MOST_ROWS}; "
                "thin it out"
            )
        return law.points
    if material.hardening_modulus_pa == 0:
        return ((0.0, first),)
    if isinstance(law, LinearHardening):
        return ((0.0, first), (_LARGEST_PLASTIC_STRAIN, first + law.modulus_pa * _LARGEST_PLASTIC_STRAIN))
    strains, rises = _voce_rows(law)
    return tuple(zip(strains.tolist(), (first + rises).tolist(), strict=True))


def _voce_rows(law: VoceHardening) -> tuple[FloatArray, FloatArray]:
    """Plastic strains and rises of the yield stress, Pa, [R] each, whose straight pieces follow the curve closely.

    With u = exp(-rate p / 2), a straight piece from u to u - d sags below the curve by at most
    saturation u^2 ln^2(u / (u - d)) / 2. Rows at equal d, about 1 / pieces, make that saturation d^2 / 2 for nearly all
    pieces, four times as much for the last few. Two thirds of it are the mean sag, by which all rows but the first are
    lifted: the pieces are off by less than saturation d^2 / 3, 9e-6 of the saturation, in all but the last few, and
    by less than 2 saturation d^2 anywhere.
    """
    whole = -np.expm1(-law.rate * _LARGEST_PLASTIC_STRAIN / 2)
    shares = np.linspace(0.0, whole, _MOST_ROWS)[:-1]
    strains = np.append(-2 / law.rate * np.log1p(-shares), _LARGEST_PLASTIC_STRAIN)
    rises = law.yield_stress_rise(strains)
    rises[1:] += law.saturation_pa * (whole / (_MOST_ROWS - 1)) ** 2 / 3
    return strains, rises


def _support_lines(points: IntArray, directions: FloatArray) -> list[str]:
    """Supports as *BOUNDARY where a direction is an axis, as *EQUATION where it is tilted.

    Args:
        points: held points [R], repeated where held in several directions.
        directions: unit directions [R, 3].
    """
    order = np.argsort(points, kind="stable")
    held, starts = np.unique(points[order], return_index=True)
    boundary, equations = [], []
    for point, group in zip(held.tolist(), np.split(directions[order], starts[1:]), strict=True):
        for row in reduced_rows(group):
            terms = np.flatnonzero(row)
            if len(terms) == 1:
                boundary.append(f"{point + 1},{terms[0] + 1},{terms[0] + 1}")
                continue
            # The first term is the one that CalculiX eliminates: the pivot, whose coefficient is 1.
            terms = terms[np.argsort(row[terms] != 1.0, kind="stable")]
            body = ",".join(f"{point + 1},{term + 1},{row[term]:.13e}" for term in terms)
            equations.append(f"*EQUATION\n{len(terms)}\n{body}")
    return [*equations, *(["*BOUNDARY", *boundary] if boundary else [])]


def reduced_rows(directions: FloatArray) -> FloatArray:
    """Independent equations, each with a pivot of 1 that no other row holds, of directions that are held [R, 3].

    Nearly parallel directions count as one, as they do in `supports.freedom_basis`.
    """
    values, vectors = np.linalg.eigh(directions.T @ directions)
    rows = vectors.T[values >= 1e-6].copy()
    for i in range(len(rows)):
        # Among the rows left, the largest entry is the pivot: the equations then stay well conditioned.
        j, column = np.unravel_index(np.abs(rows[i:]).argmax(), rows[i:].shape)
        rows[[i, i + j]] = rows[[i + j, i]]
        rows[i] /= rows[i, column]
        others = np.arange(len(rows)) != i
        rows[others] -= rows[others, column, None] * rows[i]
        rows[others, column] = 0.0
    rows[np.abs(rows) < 1e-14] = 0.0
    return np.asarray(rows)
