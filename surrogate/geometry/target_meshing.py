"""Mesh the current gmsh model with a number of points in mind. Imports gmsh: only for isolated children."""

from dataclasses import replace

import gmsh
import numpy as np

from surrogate.geometry.element_size import MOST_DEFAULT_POINTS, corrected_size
from surrogate.geometry.gmsh_export import MeshSettings, apply_settings, generate

_ATTEMPTS = 5
_MOST_SURFACE_POINTS = 0.8 * MOST_DEFAULT_POINTS


def mesh_once(settings: MeshSettings) -> None:
    """Straight-sided mesh of the current model at given settings."""
    gmsh.model.mesh.clear()
    apply_settings(settings)
    generate(3)


def mesh_to_target(
    settings: MeshSettings,
    *,
    shrink: float = 1.0,
) -> MeshSettings:
    """Straight-sided mesh, and again while its number of ten-node points is far from the default's target.

    Args:
        settings: where to start.
        shrink: share of the wanted size that is meshed with on purpose.
    """
    for attempt in range(_ATTEMPTS):
        gmsh.model.mesh.clear()
        apply_settings(settings)
        # No use in filling what is too fine already: a surface vertex brings about four points with its edges, and
        # curves have about a third of the surface's vertices.
        generate(1)
        least = 8 * len(gmsh.model.mesh.getNodes()[0])
        if least < _MOST_SURFACE_POINTS or attempt == _ATTEMPTS - 1:
            generate(2)
            least = 4 * len(gmsh.model.mesh.getNodes()[0])
        if least > _MOST_SURFACE_POINTS and attempt < _ATTEMPTS - 1:
            settings = _coarser(settings, least)
            continue
        generate(3)
        better = corrected_size(settings.size / shrink, quadratic_points())
        if better is None or attempt == _ATTEMPTS - 1:
            break
        settings = replace(settings, size=better * shrink)
    return settings


def _coarser(settings: MeshSettings, points: int) -> MeshSettings:
    """Less refinement at small features first, then larger elements."""
    if settings.segments_per_turn and settings.smallest_share < 0.5:
        return replace(settings, segments_per_turn=8, smallest_share=0.6)
    factor = float(np.clip((points / 12_000) ** 0.5, 1.1, 2.0))
    return replace(settings, smallest_share=1.0, size=settings.size * factor)


def quadratic_points() -> int:
    """Number of points that the current mesh has with mid-edge points: vertices plus edges."""
    count = 0
    types, _, nodes = gmsh.model.mesh.getElements(3)
    for kind, tags in zip(types, nodes, strict=True):
        corners = np.sort(tags.reshape(-1, 4 if kind == 4 else 10)[:, :4].astype(np.int64), axis=1)
        pairs = [corners[:, i] * (int(tags.max()) + 1) + corners[:, j] for i in range(4) for j in range(i + 1, 4)]
        count += len(np.unique(corners)) + len(np.unique(np.concatenate(pairs)))
    return count
