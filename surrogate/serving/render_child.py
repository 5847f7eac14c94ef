"""The drawing process: PyVista off screen, with EGL or OSMesa. Run by `render`, never imported by it.

Usage: python -m surrogate.serving.render_child ORDER.npz DIRECTORY egl|osmesa
"""

import ctypes
import itertools
import os
import sys
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import InfrastructureError
from surrogate.geometry.tet_mesh import Vector
from surrogate.serving.picture import Marker, Panel, Picture, load_order

FloatArray = NDArray[np.float64]
Arrays = dict[str, FloatArray]
_LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}
_WINDOWS = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow"}
_BANDS = 24
_INK, _GHOST = "#1c1f24", "#9aa1ab"


def _choose_library(backend: str) -> None:
    """VTK crashes without an OpenGL library, so look before it does."""
    for name in _LIBRARIES[backend]:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = _WINDOWS[backend]
        return
    raise InfrastructureError(f"{' or '.join(_LIBRARIES[backend])} is not installed")


def _view_direction(surface: "pv.PolyData", look_at: Vector) -> Vector:
    """From the part to the camera: the isometric corner, upper ones first, from which the point is seen best."""
    target = np.asarray(look_at)
    nearest = surface.find_closest_point(target)
    normal = surface.compute_normals(cell_normals=False, split_vertices=False, consistent_normals=False)["Normals"][
        nearest
    ]
    start, reach = surface.points[nearest] + 1e-3 * surface.length * normal, 2 * surface.length
    best, best_score = (1.0, -1.0, 0.8), -np.inf
    for x, y, z in itertools.product((1.0, -1.0), (-1.0, 1.0), (0.8, -0.8)):
        direction = np.array([x, y, z]) / np.linalg.norm([x, y, z])
        hidden = len(surface.ray_trace(start, start + reach * direction)[0]) > 0
        score = float(normal @ direction) - 10.0 * hidden - 0.5 * (z < 0)
        if score > best_score:
            best, best_score = (x, y, z), score
    return best


def _colours(name: str) -> list[str]:
    """Bands of a colour map, without its darkest ends, on which no edge would be seen."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps[name](level)) for level in np.linspace(0.06, 0.96, _BANDS)]


def _lines(points: FloatArray, segments: FloatArray, toward: FloatArray) -> "pv.PolyData":
    """Segments, lifted towards the camera: under parallel projection they stay in place and the surface hides none."""
    cells = np.column_stack([np.full(len(segments), 2), segments]).ravel()
    lift = 0.002 * float(np.linalg.norm(np.ptp(points, axis=0)))
    return pv.PolyData(points + lift * toward, lines=cells)


def _draw_panel(
    plotter: "pv.Plotter", panel: Panel, surface: "pv.PolyData", arrays: Arrays, toward: FloatArray, aspect: float
) -> None:
    shown = surface.copy()
    if panel.displacement is not None:
        plotter.add_mesh(_lines(surface.points, arrays["edges"], toward), color=_GHOST, line_width=1.5)
        shown.points = surface.points + panel.scale * arrays[panel.displacement]
    smooth = {
        "smooth_shading": True,
        "split_sharp_edges": True,
        "feature_angle": 30.0,
        "specular": 0.0,
        "ambient": 0.55,
        "diffuse": 0.5,
    }
    if panel.scalars is not None:
        shown.point_data["shown"] = arrays[panel.scalars]
        plotter.add_mesh(
            shown,
            scalars="shown",
            cmap=_colours(panel.colours),
            clim=(panel.low, panel.high),
            n_colors=_BANDS,
            show_scalar_bar=False,
            **smooth,
        )
        # PyVista gives bars of one title to one view only.
        bar = plotter.add_scalar_bar(
            panel.title + panel.bar_title, n_labels=7, fmt="%.3g", color=_INK, vertical=True, width=0.07, height=0.62,
            position_x=0.885 if aspect > 1 else 0.825, position_y=0.16, title_font_size=1, label_font_size=18,
        )  # fmt: skip
        bar.SetTitle("")
        plotter.add_text(panel.bar_title, position=(0.99, 0.81), viewport=True, font_size=11, color=_INK)
        right = plotter.renderer.GetActors2D().GetLastActor2D()
        right.GetTextProperty().SetJustificationToRight()
    elif panel.tint is not None:
        shown.cell_data["tint"] = arrays[panel.tint]
        plotter.add_mesh(shown, scalars="tint", rgb=True, smooth_shading=False, specular=0.0, ambient=0.45, diffuse=0.6)
    if panel.mesh_lines:
        plotter.add_mesh(
            _lines(shown.points, arrays["element_edges"], toward), color="#5c646f", line_width=0.8, opacity=0.7
        )
    plotter.add_mesh(_lines(shown.points, arrays["edges"], toward), color=_INK, line_width=2.0)
    if panel.arrows:
        _draw_arrows(plotter, arrays, surface.length, toward)
    if panel.marker is not None:
        _mark(plotter, panel.marker, shown, toward)
    _write_texts(plotter, panel)
    seen = [surface.points, shown.points]
    if panel.arrows:
        seen += [arrays["arrow_starts"], arrays["arrow_starts"] + arrays["arrow_vectors"]]
    _frame(plotter, panel, np.concatenate(seen), toward, aspect)


def _mark(plotter: "pv.Plotter", marker: Marker, shown: "pv.PolyData", toward: FloatArray) -> None:
    """A ball on the surface nearest to the place, and its label above, neither hidden by the part."""
    size = shown.length
    place = shown.points[shown.find_closest_point(marker.at)] + 0.004 * size * toward
    plotter.add_mesh(pv.Sphere(radius=0.008 * size, center=place), color="#d0021b", ambient=0.6, specular=0.0)
    plotter.add_point_labels(
        place[None] + [[0.0, 0.0, 0.045 * size]], [marker.label], always_visible=True, show_points=False, font_size=20,
        text_color=_INK, shape_color="white", shape_opacity=0.85, margin=4,
    )  # fmt: skip


def _frame(plotter: "pv.Plotter", panel: Panel, points: FloatArray, toward: FloatArray, aspect: float) -> None:
    """Parallel projection that fills what title and colour bar leave of the view."""
    side = np.cross([0.0, 0.0, 1.0], toward)
    side /= np.linalg.norm(side)
    up = np.cross(toward, side)
    across, upward = points @ side, points @ up
    left, right = 0.04, (0.79 if aspect > 1 else 0.76) if panel.scalars else 0.96
    bottom, top = (0.05, 0.86 - 0.036 * len(panel.legend)) if panel.legend else (0.05, 0.87)
    height = max(np.ptp(upward) / (top - bottom), np.ptp(across) / ((right - left) * aspect))
    focus = side * ((across.max() + across.min()) / 2 + (0.5 - (left + right) / 2) * height * aspect)
    focus = focus + up * ((upward.max() + upward.min()) / 2 + (0.5 - (bottom + top) / 2) * height)
    focus = focus + toward * float((points @ toward).mean())
    camera = plotter.camera
    camera.focal_point = focus
    camera.position = focus + toward * 4 * height
    camera.up = (0.0, 0.0, 1.0)
    camera.enable_parallel_projection()
    camera.parallel_scale = height / 2
    plotter.reset_camera_clipping_range()


def _draw_arrows(plotter: "pv.Plotter", arrays: Arrays, size: float, toward: FloatArray) -> None:
    """Those on top are lifted out of the part, which parallel projection does not show."""
    names = ("arrow_starts", "arrow_vectors", "arrow_colours", "arrow_on_top")
    for start, vector, colour, on_top in zip(*(arrays[name] for name in names), strict=True):
        arrow = pv.Arrow(
            start=start + on_top * size * toward,
            direction=vector,
            scale=float(np.linalg.norm(vector)),
            shaft_radius=0.025,
            tip_radius=0.075,
            tip_length=0.3,
        )
        plotter.add_mesh(arrow, color=colour.tolist(), specular=0.0, ambient=0.6)


def _write_texts(plotter: "pv.Plotter", panel: Panel) -> None:
    plotter.add_text(panel.title, position=(0.015, 0.945), viewport=True, font_size=14, color=_INK)
    if panel.caption:
        plotter.add_text(panel.caption, position=(0.015, 0.905), viewport=True, font_size=10, color="#4b515b")
    for line, (text, colour) in enumerate(panel.legend):
        plotter.add_text(text, position=(0.015, 0.855 - 0.036 * line), viewport=True, font_size=11, color=colour)


def _draw_picture(picture: Picture, surface: "pv.PolyData", arrays: Arrays, view: Vector, directory: Path) -> None:
    plotter = pv.Plotter(
        off_screen=True, shape=(1, len(picture.panels)), window_size=[picture.width, picture.height], border=False
    )
    for column, panel in enumerate(picture.panels):
        plotter.subplot(0, column)
        plotter.set_background("white")
        toward = np.array(view) / np.linalg.norm(view)
        if panel.from_above:
            toward[2] = abs(toward[2])
        if panel.opposite:
            toward = -toward
        _draw_panel(plotter, panel, surface, arrays, toward, picture.width / len(picture.panels) / picture.height)
        plotter.add_axes(color=_INK, line_width=2, viewport=(0.0, 0.0, 0.16, 0.16))
    plotter.enable_anti_aliasing("ssaa")
    part = directory / f".{picture.file}.part.png"
    plotter.screenshot(str(part))
    part.replace(directory / picture.file)
    plotter.close()


def _main(order_path: str, directory: str) -> None:
    order, loaded = load_order(Path(order_path))
    arrays = cast(Arrays, loaded)
    triangles = arrays["triangles"]
    surface = pv.PolyData(arrays["points"], np.column_stack([np.full(len(triangles), 3), triangles]).ravel())
    view = _view_direction(surface, order.look_at)
    for picture in order.pictures:
        _draw_picture(picture, surface, arrays, view, Path(directory))


if __name__ == "__main__":
    _choose_library(sys.argv[3])
    import pyvista as pv

    _main(sys.argv[1], sys.argv[2])
