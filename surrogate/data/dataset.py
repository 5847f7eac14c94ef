"""The simulations of a directory, listed by split and read one by one."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surrogate.data.simulation_file import SCHEMA_VERSION, Simulation, load_simulation
from surrogate.data.splits import Split, SplitRule, split_of
from surrogate.errors import InputError

_SAMPLE = re.compile(r"^(?P<family>[a-z0-9_]+)-(?P<seed>\d{6,})\.h5$")


@dataclass(frozen=True)
class SimulationEntry:
    """One simulation file and whose part it is."""

    family: str
    seed: int
    path: Path


@dataclass(frozen=True)
class SimulationDataset:
    """Simulations in a fixed order (family, then seed); reading happens on access."""

    entries: tuple[SimulationEntry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, position: int) -> Simulation:
        return load_simulation(self.entries[position].path)

    def __iter__(self) -> Iterator[Simulation]:
        return (load_simulation(entry.path) for entry in self.entries)

    def split(self, split: Split, rule: SplitRule | None = None) -> "SimulationDataset":
        """The simulations whose part belongs to a split."""
        return SimulationDataset(tuple(e for e in self.entries if split_of(e.family, e.seed, rule) == split))


def open_dataset(directory: Path) -> SimulationDataset:
    """Lists the finished simulations of a campaign's directory.

    Raises:
        InputError: no such directory, no simulation in it, or simulations of another schema.
    """
    entries = list_simulations(directory)
    if not entries:
        raise InputError(f"no simulations in {directory}; run `surrogate campaign` first or give another directory")
    check_schema(directory)
    return SimulationDataset(entries)


def check_schema(directory: Path) -> None:
    """Refuses a campaign's directory of another schema before one of its files is read.

    Raises:
        InputError: simulations of another schema.
    """
    settings = directory / "campaign.json"
    held = json.loads(settings.read_text()).get("schema") if settings.exists() else SCHEMA_VERSION
    if held != SCHEMA_VERSION:
        raise InputError(
            f"{directory} holds simulations of schema {held}, this version reads {SCHEMA_VERSION}; "
            "run `surrogate campaign` again under another name"
        )


def list_simulations(directory: Path) -> tuple[SimulationEntry, ...]:
    """The finished simulations of a directory, sorted by family and seed; empty where there is none."""
    if not directory.is_dir():
        return ()
    found = []
    for path in directory.iterdir():
        match = _SAMPLE.match(path.name)
        if match:
            found.append(SimulationEntry(match["family"], int(match["seed"]), path))
    return tuple(sorted(found, key=lambda entry: (entry.family, entry.seed)))
