"""Fields of plastic strain that span many others: snapshots along given strain paths, and their leading modes.

Source: Sirovich, Quart. Appl. Math. 45 (1987), the method of snapshots.
Shape letters: A points, K load cases, J modes, H histories, T steps, S snapshots.
"""

import numpy as np

from surrogate.fields import FloatArray
from surrogate.physics.cubature import Floats
from surrogate.physics.deviatoric import deviatoric_path, strain_of_deviator
from surrogate.physics.materials import Material

# Snapshots are scaled by their size to this power, so that small early fields have a say beside large late ones.
EVENING = 0.7
# Modes that add less than this share of the first one's energy say nothing more.
ENERGY = 1e-6


def snapshots_along(strain: FloatArray, path: FloatArray, material: Material, count: int) -> Floats:
    """Deviators of the plastic strain at evenly spread steps, the first and the last among them [S, 5, A].

    Args:
        strain: of load cases and modes [6, A, K + J], engineering shear.
        path: how much of each acts [H, T, K + J].
        material: the law.
        count: steps of each history, at most.
    """
    steps = path.shape[1]
    kept = set(np.linspace(0, steps - 1, min(steps, count)).round().astype(int).tolist())
    states = enumerate(deviatoric_path(strain, path, material))
    return np.concatenate([state.plastic.astype(np.float32) for step, state in states if step in kept])


def plastic_modes(snapshots: Floats, volume: FloatArray, count: int) -> FloatArray:
    """The fields that span snapshots of plastic strain best, by the snapshot method.

    Args:
        snapshots: deviators of the plastic strain [S, 5, A], single precision.
        volume: of the points [A], m^3.
        count: fields, at most.

    Returns:
        Plastic strain [J, 6, A], engineering shear.
    """
    weight = np.tile(np.sqrt(volume), 5).astype(np.float32)
    rows = snapshots.reshape(len(snapshots), -1) * weight
    size = np.linalg.norm(rows, axis=1)
    rows, size = rows[size > 1e-3 * size.max()], size[size > 1e-3 * size.max()]
    if not len(rows) or not size.max() > 0:
        return np.zeros((0, 6, len(volume)))
    rows = rows / size[:, None] ** EVENING
    energy, mixing = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    order = np.argsort(energy)[::-1][:count]
    order = order[energy[order] > ENERGY * energy.max()]
    combined = (mixing[:, order] / np.sqrt(energy[order])).T.astype(np.float32)
    modes = ((combined @ rows) / weight).astype(np.float64).reshape(len(order), 5, len(volume))
    return strain_of_deviator(modes.transpose(1, 0, 2)).transpose(1, 0, 2)
