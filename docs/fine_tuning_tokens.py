"""Measures what fine-tuning buys a weaker start, for docs/fine_tuning_tokens.json; goes on where it stopped.

The shipped anchor leaves too little to a new family for the question. Here the small networks of the ablations, on the
tokens alone, start from weaker anchors: each is trained without a family, then on fifty parts of it, and held against
the FEM answer of that family's test parts.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from surrogate.data.dataset import SimulationEntry, open_dataset
from surrogate.model.jepa import ModelConfig
from surrogate.training.samples import prepared_path
from surrogate.training.token_data import Anchor, TokenTable, token_table
from surrogate.training.token_fine_tuning import fine_tune_tokens
from surrogate.training.token_jepa import TokenRun, TokenSettings

FIGURES = Path(__file__).with_name("fine_tuning_tokens.json")
FAMILIES = ("stiffened_panel", "stepped_shaft", "housing_corner")
STARTS: tuple[Anchor, ...] = ("local", "elastic")
SEEDS, PARTS, STEPS, OWN_STEPS = (0, 1, 2), 50, 150, 100


def tables(data: Path, family: str, tokens: int) -> tuple[TokenTable, TokenTable, TokenTable]:
    """Parts of the other families, the first fifty of this one that do not test, and its test parts."""
    dataset = open_dataset(data)
    kept = {split: dataset.split(split).entries for split in ("train", "validation", "test")}
    others = [entry for entry in kept["train"] if entry.family != family]
    own = sorted(
        (e for split in ("train", "validation") for e in kept[split] if e.family == family), key=lambda e: e.seed
    )
    tests = [entry for entry in kept["test"] if entry.family == family]

    def table(entries: list[SimulationEntry]) -> TokenTable:
        return token_table([prepared_path(entry.path, data, ModelConfig()) for entry in entries], tokens)

    return table(others), table(own[:PARTS]), table(tests)


def main() -> None:
    """Measure what is missing and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", type=Path, help="directory of the campaign")
    campaign = parser.parse_args().campaign
    torch.set_num_threads(1)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {"rows": []}
    done = {(row["family"], row["start"], row["seed"]) for row in known["rows"]}
    settings, base = TokenSettings(), TokenRun(latent="none", steps=STEPS)
    known |= {"steps": STEPS, "own_steps": OWN_STEPS}
    for family in FAMILIES:
        missing = [(anchor, seed) for anchor in STARTS for seed in SEEDS if (family, anchor, seed) not in done]
        split = tables(campaign, family, base.tokens) if missing else None
        for anchor, seed in missing:
            assert split is not None
            found = fine_tune_tokens(replace(base, anchor=anchor, seed=seed), settings, split, OWN_STEPS)
            counts = dict(
                zip(("other_parts", "own_parts", "test_parts"), (len(t.geometry) for t in split), strict=True)
            )
            known["rows"].append({"family": family, "start": anchor, "seed": seed, **counts, **asdict(found)})
            FIGURES.write_text(json.dumps(known, indent=1) + "\n")
            print(family, anchor, seed, found, flush=True)


if __name__ == "__main__":
    main()
