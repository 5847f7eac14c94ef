"""The faces of a triangle surface, found on the file's own triangles and carried over to the mesh that fills it.

The file's vertices lie on the part, the points of a new mesh only on the flat triangles between them: so faces are
fitted to the former, and mesh points on cylinders are put back onto the cylinder.

Shape letters: N points, F triangles.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_quality import corner_volumes
from surrogate.geometry.faces import boundary_triangles
from surrogate.geometry.segmentation import edge_pairs, segment_boundary
from surrogate.geometry.surface_fit import CylinderFit, PlaneFit, SurfaceFit, area_vectors, fit_surface

_SAMPLES_A_TRIANGLE = 400
_MOST_SNAP = 0.1


@dataclass(frozen=True)
class SurfaceFaces:
    """Faces of a surface.

    Attributes:
        points: of the surface, six-node triangles included [N, 3].
        triangles: six-node, sides straight [F, 6].
        labels: face of each triangle [F].
        fits: what surface each face is.
    """

    points: FloatArray
    triangles: IntArray
    labels: IntArray
    fits: tuple[SurfaceFit | None, ...]

    def borders(self) -> IntArray:
        """Edges between faces, by their points [E, 2]."""
        pairs = edge_pairs(self.points, self.triangles)
        differ = self.labels[pairs.one] != self.labels[pairs.two]
        held = self.triangles[pairs.one[differ]][:, [[0, 1], [1, 2], [2, 0]]]
        other = self.triangles[pairs.two[differ], :3]
        shared = (held[..., None] == other[:, None, None, :]).any(axis=3).all(axis=2)
        return np.unique(np.sort(held[shared], axis=1), axis=0).astype(np.int32)

    def scaled_fits(self, scale: float) -> list[SurfaceFit | None]:
        """The fits in metres."""
        return [
            CylinderFit(f.axis, (f.centre[0] * scale, f.centre[1] * scale, f.centre[2] * scale), f.radius * scale)
            if isinstance(f, CylinderFit)
            else f
            for f in self.fits
        ]

    def carry_over(self, points: FloatArray, tet10: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
        """Points with those on cylinders put onto them, boundary triangles [F', 6] and the face of each [F']."""
        triangles = boundary_triangles(tet10, len(points))
        labels = self._nearest_labels(points, triangles)
        return self._onto_cylinders(points, tet10, triangles, labels), triangles, labels

    def _nearest_labels(self, points: FloatArray, triangles: IntArray) -> IntArray:
        """Face of the nearest triangle of the surface that looks the same way."""
        vectors = area_vectors(points, triangles).mean(axis=1)
        normals = vectors / np.linalg.norm(vectors, axis=1)[:, None]
        middles = points[triangles[:, :3]].mean(axis=1)
        own = area_vectors(self.points, self.triangles).mean(axis=1)
        own_areas = np.linalg.norm(own, axis=1)
        own_normals = own / np.maximum(own_areas, 1e-300)[:, None]
        spacing = 0.3 * float(np.sqrt(np.median(np.linalg.norm(vectors, axis=1))))
        samples, whose = _sample(self.points, self.triangles, spacing)
        distance, near = cKDTree(samples).query(middles, k=min(8, len(samples)))
        distance, near = distance.reshape(len(middles), -1), near.reshape(len(middles), -1)
        cosine = np.einsum("fkx,fx->fk", own_normals[whose[near]], normals)
        best = np.argmin(distance + 2 * spacing * (1 - cosine), axis=1)
        labels: IntArray = self.labels[whose[near[np.arange(len(middles)), best]]]
        return labels

    def _onto_cylinders(self, points: FloatArray, tet10: IntArray, triangles: IntArray, labels: IntArray) -> FloatArray:
        """Move points of cylinders radially; on a rim only where the other face is a plane across the axis."""
        result = points.copy()
        order = np.argsort(triangles.reshape(-1), kind="stable")
        touching, face = triangles.reshape(-1)[order], np.repeat(labels, 6)[order]
        pairs = np.unique(np.stack([touching, face], axis=1), axis=0)
        for label in np.unique(labels).tolist():
            fit = self.fits[label]
            if not isinstance(fit, CylinderFit):
                continue
            axis = np.array(fit.axis)
            across = [
                other
                for other, surface in enumerate(self.fits)
                if isinstance(surface, PlaneFit) and abs(np.array(surface.normal) @ axis) > 0.9999
            ]
            members = pairs[pairs[:, 1] == label, 0]
            foreign = pairs[~np.isin(pairs[:, 1], [label, *across]), 0]
            members = np.setdiff1d(members, foreign)
            offsets = points[members] - np.array(fit.centre)
            radial = offsets - np.outer(offsets @ axis, axis)
            distance = np.linalg.norm(radial, axis=1)
            near = np.abs(distance - fit.radius) < _MOST_SNAP * fit.radius
            shift = (fit.radius / np.maximum(distance, 1e-300) - 1)[:, None] * radial
            result[members[near]] += shift[near]
        before, after = corner_volumes(points, tet10), corner_volumes(result, tet10)
        return result if (after / before > 0.1).all() else points


def surface_faces(points: FloatArray, corners: IntArray) -> SurfaceFaces:
    """Segment a closed surface of flat triangles and fit its faces.

    Args:
        points: [N, 3].
        corners: triangles, counter-clockwise seen from outside [F, 3].
    """
    middles = 0.5 * (points[corners[:, [0, 1, 2]]] + points[corners[:, [1, 2, 0]]]).reshape(-1, 3)
    numbers = np.arange(len(middles), dtype=np.int32).reshape(-1, 3) + len(points)
    triangles = np.concatenate([corners, numbers], axis=1)
    everything = np.concatenate([points, middles])
    labels = segment_boundary(everything, triangles, np.full(len(triangles), -1, np.int32), split_tags=False)
    size = float(np.ptp(points, axis=0).max())
    fits = tuple(fit_surface(everything, triangles[labels == label], size) for label in range(int(labels.max()) + 1))
    return SurfaceFaces(everything, triangles, labels, fits)


def _sample(points: FloatArray, triangles: IntArray, spacing: float) -> tuple[FloatArray, IntArray]:
    """Points spread over triangles about a spacing apart, and the triangle of each."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    longest = np.max([np.linalg.norm(b - a, axis=1), np.linalg.norm(c - b, axis=1), np.linalg.norm(a - c, axis=1)], 0)
    counts = np.ceil(areas / spacing**2 + longest / spacing).astype(np.int64) + 1
    counts = np.minimum(counts, _SAMPLES_A_TRIANGLE)
    whose = np.repeat(np.arange(len(triangles), dtype=np.int32), counts)
    rank = np.arange(len(whose)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    # Additive recurrence of the plastic number spreads points evenly (Roberts 2018).
    u, v = (rank * 0.7548776662466927) % 1, (rank * 0.5698402909980532) % 1
    u, v = np.where(u + v > 1, 1 - u, u)[:, None], np.where(u + v > 1, 1 - v, v)[:, None]
    return a[whose] + u * (b - a)[whose] + v * (c - a)[whose], whose
