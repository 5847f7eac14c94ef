"""A STEP file becomes a saved mesh. Runs only in an isolated child: gmsh segfaults on some files.

    python -m surrogate.geometry.step_mesher FILE OUT SCALE SIZE SURFACE VOLUME SHRINK HEAL

SCALE: metres per millimetre of the model as read, 0.001 unless the file states no unit. SIZE: element size in m, or
"auto". SURFACE, VOLUME: algorithms of `mesh_current_model`. SHRINK: factor on the size. HEAL: 1 to repair on reading.
"""

import logging
import sys
from pathlib import Path

import gmsh
import numpy as np

from surrogate.errors import GeometryError, TooLargeError
from surrogate.geometry.element_size import corrected_size, default_element_size, expected_points
from surrogate.geometry.faces import MOST_POINTS
from surrogate.geometry.gmsh_export import mesh_current_model, save_current_mesh

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> None:
    """Read, check, mesh, save."""
    file, out, scale, size, surface, volume, shrink, heal = arguments
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    _read(Path(file), heal == "1")
    solid_volume, area = _measure(Path(file).name)
    unit = float(scale)
    automatic = size == "auto"
    chosen = default_element_size(solid_volume, area) if automatic else float(size) / unit
    if expected_points(chosen, solid_volume, area) > 2 * MOST_POINTS:
        millions = expected_points(chosen, solid_volume, area) / 1e6
        raise TooLargeError(
            f"element_size_m {chosen * unit:g} would give about {millions:.1f} million points, the limit is "
            f"{MOST_POINTS / 1e6:g} million; use a larger one"
        )
    chosen *= float(shrink)
    _mesh(chosen, surface, volume, coarse=False)
    for attempt in range(3 if automatic else 0):
        points = len(gmsh.model.mesh.getNodes()[0])
        better = corrected_size(chosen / float(shrink), points, solid_volume, area)
        if better is None:
            break
        chosen = better * float(shrink)
        gmsh.model.mesh.clear()
        _mesh(chosen, surface, volume, coarse=attempt > 0 and points > 15_000)
    save_current_mesh(Path(out), scale=unit)
    print(f"element size {chosen * unit:.4g} m, {len(gmsh.model.mesh.getNodes()[0])} points")


def _read(file: Path, heal: bool) -> None:
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
            raise GeometryError(
                f"{file.name} cannot be read as STEP; it is damaged or cut off, export it again"
            ) from error
        gmsh.model.occ.synchronize()
        if gmsh.model.getEntities(3):
            return
        surfaces = len(gmsh.model.getEntities(2))
        gmsh.clear()
    raise GeometryError(
        f"{file.name} holds no solid ({surfaces} surfaces that do not close); export a closed solid body"
        if surfaces
        else f"{file.name} holds no shape; export a solid body"
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


def _mesh(size: float, surface: str, volume: str, *, coarse: bool) -> None:
    """Mesh at a size in the model's unit; coarse where small features would make too many points."""
    mesh_current_model(
        size,
        surface_algorithm=surface,
        volume_algorithm=volume,
        segments_per_turn=8 if coarse else 12,
        smallest_share=0.5 if coarse else 0.2,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
