"""Counts the histories that the network is asked of: `python docs/restless.py DATA` for the test parts of a campaign.

A history is restless where the reduced anchor's last round still moved it by more than `serving.prepared.RESTLESS` of
its size; of all others the network has no say.
"""

import argparse
from pathlib import Path

from surrogate.data.dataset import open_dataset
from surrogate.data.simulation_file import load_simulation
from surrogate.model.anchor_path import pad_factors
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.reduced import reduced_anchor
from surrogate.serving.prepared import RESTLESS


def main() -> None:
    """Print the restless histories of a split, and how many there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of a campaign")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    asked = parser.parse_args()
    restless, every, entries = 0, 0, open_dataset(asked.data).split(asked.split).entries
    for entry in entries:
        problem = load_simulation(entry.path).problem
        factors = pad_factors([history.factors for history in problem.load_histories])
        moved = reduced_anchor(elastic_anchor(problem), factors).moved
        every, restless = every + len(moved), restless + int((moved > RESTLESS).sum())
        if (moved > RESTLESS).any():
            print(f"{entry.path.stem}: {moved.max():.0%} moved by the last round", flush=True)
    print(f"{restless} of {every} histories of {len(entries)} {asked.split} parts are restless")


if __name__ == "__main__":
    main()
