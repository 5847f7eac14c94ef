"""Draws a hundred random samples of the part families on one sheet: `make family-sheet`.

Each sample is meshed, held and loaded as a campaign would, by its family and a fixed seed, and coloured by the elastic
von Mises stress of its first load case over the yield strength. The sheet is drawn in a process of its own, since VTK
may abort; samples are kept in the scratch folder, so that an interrupted run goes on where it stopped.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from surrogate.data.families import FAMILIES
from surrogate.data.mesh_pair import generate_mesh
from surrogate.data.part_family import PartFamily
from surrogate.data.sampling import SamplingRange
from surrogate.data.simulate import SampleSize, draw_anchored
from surrogate.errors import SurrogateError
from surrogate.fields import FloatArray, IntArray
from surrogate.physics.invariants import von_mises
from surrogate.serving.point_data import averaged_at_points

if TYPE_CHECKING:
    import pyvista as pv

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "family_sheet.png"
COLUMNS, ROWS = 10, 10
FIRST_SEED, SEED_STEP, SEEDS_TRIED = 7000, 1000, 8
PIXELS = 190
# Share of a field's side that a part may fill; the rest is for its label and the gaps.
FILLED = 0.8
# Right, up and towards the eye of an isometric view along (1, -1.3, 0.9), the third being the depth.
EYE = np.array([1.0, -1.3, 0.9]) / np.linalg.norm([1.0, -1.3, 0.9])
RIGHT = np.cross([0.0, 0.0, 1.0], EYE) / np.linalg.norm(np.cross([0.0, 0.0, 1.0], EYE))
VIEW = np.stack([RIGHT, np.cross(EYE, RIGHT), EYE])


@dataclass(frozen=True, eq=False)
class Drawn:
    """A sample's surface: points [N, 3], m; corners of plain triangles [F, 3]; stress over yield strength [N]."""

    points: FloatArray
    triangles: IntArray
    level: FloatArray


def sample_surface(family: PartFamily, seed: int) -> Drawn:
    """Meshes a sample, draws its problem and solves its load cases elastically.

    Raises:
        SurrogateError: the drawn part or its mesh failed; another seed will do.
    """
    mesh = generate_mesh(family, seed)
    problem, anchor, _ = draw_anchored(family, seed, mesh, SampleSize(histories=1, steps=8), SamplingRange())
    stress = von_mises(np.asarray(anchor.stress)[:, :, 0]).reshape(len(mesh.cells), -1)
    volumes = anchor.system.volumes.reshape(stress.shape)
    level = averaged_at_points(mesh, stress, volumes) / problem.material.yield_strength_pa
    six = mesh.triangles
    plain = np.concatenate([six[:, [0, 3, 5]], six[:, [3, 1, 4]], six[:, [5, 4, 2]], six[:, [3, 4, 5]]])
    kept, renumbered = np.unique(plain, return_inverse=True)
    return Drawn(mesh.points[kept], renumbered.reshape(-1, 3), level[kept])


def kept_sample(number: int, scratch: Path) -> Path:
    """The file of a sample of the sheet, made unless it is there; families take turns."""
    family = FAMILIES[number % len(FAMILIES)]
    for attempt in range(SEEDS_TRIED):
        seed = FIRST_SEED + number + attempt * SEED_STEP
        path = scratch / f"{number:03d}-{family.name}-{seed}.npz"
        if path.exists():
            return path
        try:
            drawn = sample_surface(family, seed)
        except SurrogateError as error:
            print(f"{family.name} {seed}: {error}")
            continue
        np.savez(path, points=drawn.points, triangles=drawn.triangles, level=drawn.level)
        print(path.name, flush=True)
        return path
    raise SystemExit(f"no seed of {family.name!r} gave a part; mend the family")


def field_surface(path: Path, number: int) -> "pv.PolyData":
    """A sample turned towards the eye, scaled to its field of the sheet and moved there."""
    import pyvista as pv

    stored = np.load(path)
    points = stored["points"] - (stored["points"].max(axis=0) + stored["points"].min(axis=0)) / 2
    if np.ptp(points[:, 2]) > 1.6 * np.ptp(points[:, :2], axis=0).max():
        points = points[:, [2, 0, 1]]  # long parts lie down; a cyclic swap keeps the surface's outside
    seen = points @ VIEW.T
    seen -= (seen.max(axis=0) + seen.min(axis=0)) / 2
    seen *= FILLED / np.ptp(seen[:, :2], axis=0).max()
    row, column = divmod(number, COLUMNS)
    seen += [column + 0.5, ROWS - row - 0.46, 0.0]
    surface = pv.PolyData.from_regular_faces(seen, stored["triangles"])
    surface.point_data["level"] = np.clip(stored["level"], 0.0, 1.0).astype(np.float32)
    return surface


def draw_sheet(scratch: Path, picture: Path) -> None:
    """Draws the samples kept in a folder; only called in a process of its own."""
    import pyvista as pv

    paths = sorted(scratch.glob("[0-9][0-9][0-9]-*.npz"))[: COLUMNS * ROWS]
    surfaces = [field_surface(path, number) for number, path in enumerate(paths)]
    plotter = pv.Plotter(off_screen=True, window_size=[COLUMNS * PIXELS, ROWS * PIXELS])
    plotter.set_background("white")
    together = pv.merge(surfaces, merge_points=False)
    edges = together.extract_feature_edges(35, boundary_edges=False, non_manifold_edges=False, manifold_edges=False)
    shaded = together.compute_normals(feature_angle=35, split_vertices=True, consistent_normals=False)
    plotter.add_mesh(
        shaded, scalars="level", cmap="turbo", clim=(0.0, 1.0), smooth_shading=True, show_scalar_bar=False,
        ambient=0.25, diffuse=0.75,
    )  # fmt: skip
    plotter.add_mesh(edges, color="#202020", line_width=1, lighting=False)
    for number, path in enumerate(paths):
        row, column = divmod(number, COLUMNS)
        _, family, seed = path.stem.split("-")
        place = ((column + 0.04) * PIXELS, (ROWS - row - 0.985) * PIXELS)
        plotter.add_text(f"{family} {seed}", position=place, font_size=6, color="#404040")
    plotter.camera_position = [(COLUMNS / 2, ROWS / 2, 100.0), (COLUMNS / 2, ROWS / 2, 0.0), (0.0, 1.0, 0.0)]
    plotter.enable_parallel_projection()
    plotter.camera.parallel_scale = ROWS / 2
    plotter.reset_camera_clipping_range()
    plotter.enable_anti_aliasing("ssaa")
    picture.parent.mkdir(parents=True, exist_ok=True)
    plotter.screenshot(str(picture))
    plotter.close()


def shrink(picture: Path) -> None:
    """Stores the sheet with 256 colours, which a page loads in a fraction of the time."""
    from PIL import Image

    with Image.open(picture) as image:
        image.convert("RGB").quantize(256).save(picture, optimize=True)


def main() -> None:
    """Makes what is missing of the hundred samples, then draws the sheet in another process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, default=ROOT / "out" / "family_sheet", help="where samples are kept")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--draw-only", action="store_true", help="draw what is kept, in this process")
    given = parser.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    if given.draw_only:
        draw_sheet(given.scratch, given.picture)
        return
    for number in range(COLUMNS * ROWS):
        kept_sample(number, given.scratch)
    command = [
        sys.executable,
        __file__,
        "--draw-only",
        "--scratch",
        str(given.scratch),
        "--picture",
        str(given.picture),
    ]
    subprocess.run(command, check=True, timeout=600)
    shrink(given.picture)


if __name__ == "__main__":
    main()
