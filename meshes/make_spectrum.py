"""Makes bracket_spectrum.csv: one hundred load histories of twelve steps, the same ones every time.

Each is a sequence of manoeuvres (pull and side levels that wander independently, so that the loading is not
proportional) and ends unloaded. Most stay below limit load; about one in ten passes it, as in a real spectrum.

    python meshes/make_spectrum.py [--out FILE]
"""

import argparse
import csv
from pathlib import Path

import numpy as np

HISTORY_COUNT = 100
STEP_COUNT = 12
SEED = 20250101


def draw_history(generator: np.random.Generator) -> np.ndarray:
    """Load factors of the two cases [T, 2]; the last step is unloaded."""
    severity = 0.6 + 0.6 * generator.weibull(1.5)
    turns = generator.integers(2, 5)
    corners = generator.uniform([-0.3, -1.0], [1.0, 1.0], (turns, 2))
    corners *= severity / np.abs(corners).max()
    path = np.vstack([np.zeros(2), corners, np.zeros(2)])
    at = np.linspace(0, len(path) - 1, STEP_COUNT + 1)[1:]
    return np.column_stack([np.interp(at, np.arange(len(path)), path[:, case]) for case in range(2)])


def main() -> None:
    """Writes the CSV: one row a step, one column a load case, and the history's name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "bracket_spectrum.csv")
    out: Path = parser.parse_args().out
    generator = np.random.default_rng(SEED)
    with out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["history", "pull", "side"])
        for number in range(1, HISTORY_COUNT + 1):
            for pull, side in draw_history(generator):
                writer.writerow([f"manoeuvre {number:03d}", f"{pull:.4f}", f"{side:.4f}"])


if __name__ == "__main__":
    main()
