"""A STEP file becomes a saved mesh. Runs only in an isolated child: gmsh segfaults on some files.

    python -m surrogate.geometry.step_mesher JOB.json

The job is a `StepJob` as JSON.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import gmsh
import numpy as np

from surrogate.errors import GeometryError, TooLargeError
from surrogate.geometry.element_size import default_element_size, expected_points
from surrogate.geometry.gmsh_export import MeshSettings, save_current_mesh
from surrogate.geometry.length_units import step_length_unit, step_scale
from surrogate.geometry.mesh_arrays import MOST_POINTS
from surrogate.geometry.step_names import name_surfaces
from surrogate.geometry.target_meshing import mesh_once, mesh_to_target


@dataclass(frozen=True)
class StepJob:
    """What to mesh and how.

    Attributes:
        file: the STEP file.
        name: how messages call it.
        out: the saved mesh to write.
        length_unit: what the user says; None leaves it to the file.
        element_size_m: None chooses it from the part.
        surface_algorithm: of `MeshSettings`.
        volume_algorithm: of `MeshSettings`.
        segments_per_turn: of `MeshSettings`.
        shrink: factor on the size.
        heal: repair while reading.
        budget: without an element size, coarsen where there would be more points than a default should have.
    """

    file: str
    name: str
    out: str
    length_unit: str | None
    element_size_m: float | None
    surface_algorithm: str
    volume_algorithm: str
    segments_per_turn: int
    shrink: float
    heal: bool
    budget: bool


def main(job: StepJob) -> None:
    """Read, check, mesh, save."""
    text = Path(job.file).read_text(errors="replace")
    scale = step_scale(text, job.name, job.length_unit)
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    _read(Path(job.file), job.name, job.heal)
    volume, area = _measure(job.name)
    name_surfaces(text, (step_length_unit(text) or 1e-3) / 1e-3)
    size = default_element_size(volume, area) if job.element_size_m is None else job.element_size_m / scale
    points = expected_points(size, volume, area)
    if points > 2 * MOST_POINTS:
        raise TooLargeError(
            f"{job.name}: element_size_m {size * scale:g} would give about {points / 1e6:.1f} million points, the "
            f"limit is {MOST_POINTS / 1e6:g} million; use a larger one"
        )
    settings = MeshSettings(
        size * job.shrink, job.surface_algorithm, job.volume_algorithm, job.segments_per_turn, smallest_share=0.3
    )
    if job.element_size_m is None and job.budget:
        settings = mesh_to_target(settings, shrink=job.shrink)
    else:
        mesh_once(settings)
    gmsh.model.mesh.setOrder(2)
    save_current_mesh(Path(job.out), scale=scale)
    print(f"{settings}, {len(gmsh.model.mesh.getNodes()[0])} points")


def _read(file: Path, name: str, heal: bool) -> None:
    """Import in millimetres, the unit that the kernel's tolerances are made for; sew open shells into solids."""
    gmsh.option.setString("Geometry.OCCTargetUnit", "MM")
    for option in ("OCCFixDegenerated", "OCCFixSmallEdges", "OCCFixSmallFaces"):
        gmsh.option.setNumber(f"Geometry.{option}", int(heal))
    for sew in (0, 1):
        gmsh.option.setNumber("Geometry.OCCSewFaces", sew)
        gmsh.option.setNumber("Geometry.OCCMakeSolids", sew)
        try:
            gmsh.model.occ.importShapes(str(file), True, "step")
        except Exception as error:  # gmsh raises plain Exception
            raise GeometryError(f"{name} cannot be read as STEP; it is damaged or cut off, export it again") from error
        gmsh.model.occ.synchronize()
        if gmsh.model.getEntities(3):
            return
        surfaces = len(gmsh.model.getEntities(2))
        gmsh.clear()
    raise GeometryError(
        f"{name} holds no solid ({surfaces} surfaces that do not close); export a closed solid body"
        if surfaces
        else f"{name} holds no shape; export a solid body"
    )


def _measure(name: str) -> tuple[float, float]:
    """Volume and surface area of the one solid, in the model's unit."""
    solids = [tag for _, tag in gmsh.model.getEntities(3)]
    surfaces_of = [{tag for _, tag in gmsh.model.getBoundary([(3, solid)], oriented=False)} for solid in solids]
    joined = [surfaces_of[0]]
    rest = surfaces_of[1:]
    while rest:
        touching = [surfaces for surfaces in rest if surfaces & joined[-1]]
        if touching:
            joined[-1] = joined[-1].union(*touching)
            rest = [surfaces for surfaces in rest if surfaces not in touching]
        else:
            joined.append(rest.pop(0))
    if len(joined) > 1:
        raise GeometryError(
            f"{name} holds {len(joined)} separate solids that share no faces; export one solid a file, "
            "or fuse them in CAD"
        )
    volume = sum(gmsh.model.occ.getMass(3, tag) for tag in solids)
    outside = gmsh.model.getBoundary([(3, tag) for tag in solids], combined=True, oriented=False)
    area = sum(gmsh.model.occ.getMass(2, tag) for _, tag in outside)
    if not (np.isfinite(volume) and np.isfinite(area)) or volume <= 1e-12 * max(area, 0.0) ** 1.5 or area <= 0:
        raise GeometryError(f"{name} encloses no volume (volume {volume:g} mm^3, area {area:g} mm^2); repair it in CAD")
    return volume, area


if __name__ == "__main__":
    main(StepJob(**json.loads(Path(sys.argv[1]).read_text())))
