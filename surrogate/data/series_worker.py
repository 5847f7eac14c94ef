"""The reading subprocess of a result series: `python -m surrogate.data.series_worker OUT ARRAY FILE...`.

VTK aborts the process on a damaged file, so it runs here and nowhere else.
"""

import sys
from pathlib import Path

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray
from surrogate.geometry.vtk_reader import read_point_vectors


def main(arguments: list[str]) -> None:
    """Reads the points and one vector field of each file."""
    out, array, *files = arguments
    points: FloatArray | None = None
    steps = []
    for file in map(Path, files):
        places, vectors = read_point_vectors(file, array)
        if points is None:
            points = places
        elif places.shape != points.shape or not np.array_equal(places, points):
            raise GeometryError(f"{file.name} has other points than the files before it; write every step on one mesh")
        steps.append(vectors)
    np.savez(out, points=np.array(points), vectors=np.stack(steps))


if __name__ == "__main__":
    main(sys.argv[1:])
