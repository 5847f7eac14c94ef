"""Mutated sound files against the readers: each ends in a mesh or in an error of ours, in bounded time.

    python -m tests.geometry.fuzzing --count 1000 --seed 0 [--keep DIRECTORY]

A case is named by seed and index, and is the same on every machine.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from surrogate.errors import InfrastructureError, SurrogateError
from surrogate.geometry import part
from surrogate.geometry.part import load_part
from tests.geometry.reader_server import ReaderServer

# CPU seconds a file; the clock may take six times as long on a busy machine.
CPU_S = 10.0
MEMORY_BYTES = 2 << 30
_TEXT_NUMBERS = (
    b"-1", b"0", b"1", b"2147483647", b"2147483648", b"-2147483649", b"99999999999", b"18446744073709551616", b"1e308",
    b"-1e308", b"1e-320", b"nan", b"inf", b"1e999", b"0x10", b"1.5", b"", b"1e5", b"3 3", b"#1", b"%n", b"1" * 400,
)  # fmt: skip
_BINARY_NUMBERS = (
    b"\xff" * 4, b"\xff" * 8, b"\0" * 4, b"\0" * 8, b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f",
    b"\x7f\xc0\0\0", b"\0\0\0\0\0\0\xf8\x7f", b"\0\0\0\0\0\0\xf0\x7f", b"\x01\0\0\0\x01\0\0\0", b"\xff" * 7 + b"\x7f",
)  # fmt: skip
# Share of each kind of file: those that are meshed when they survive take longest.
_SHARES = {"step": 1, "stl": 1, "obj": 1, "vtu": 3, "vtk": 3, "msh": 3, "inp": 2, "bdf": 2, "nas": 1, "gz": 1}

_BLUNT = re.compile(r": failed: (\w+)|crashed \((\w+)|(no result)|(CPU time)|(of memory)|(cannot be used)")

Mutation = Callable[[random.Random, bytes], bytes]


@dataclass
class Outcomes:
    """What became of the files.

    Attributes:
        meshes: that were read in spite of their mutation.
        errors: number by class.
        blunt: number by the exceptions and signals that a reader did not foresee.
        violations: what must not be, by case.
        slowest_s: most CPU time of a file's readers, s.
        slowest: which file that was.
        cpu_s: of all readers, s.
        seconds: on the clock.
    """

    meshes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    blunt: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    cpu_s: float = 0.0
    seconds: float = 0.0


def flip_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change a few bytes anywhere."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 20, 200))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    """Leave out the end, or a piece in the middle."""
    start, stop = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:start] if rng.random() < 0.5 else data[:start] + data[stop:]


def double(rng: random.Random, data: bytes) -> bytes:
    """Repeat a piece somewhere, once or often."""
    start = rng.randrange(len(data))
    piece = data[start : start + rng.choice((4, 40, 400, 4000))]
    place = rng.randrange(len(data))
    return data[:place] + piece * rng.choice((1, 2, 100)) + data[place:]


def replace_numbers(rng: random.Random, data: bytes) -> bytes:
    """Put absurd numbers in place of a few."""
    if b"\0" in data and rng.random() < 0.7:
        changed = bytearray(data)
        for _ in range(rng.choice((1, 2, 8))):
            number = rng.choice(_BINARY_NUMBERS)
            place = rng.randrange(max(len(data) - 8, 1))
            changed[place : place + len(number)] = number
        return bytes(changed)
    found = list(re.finditer(rb"-?\d[\d.eE+-]*", data))
    for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 2, 8)))), key=lambda it: -it.start()):
        data = data[: match.start()] + rng.choice(_TEXT_NUMBERS) + data[match.end() :]
    return data


def shuffle_lines(rng: random.Random, data: bytes) -> bytes:
    """Put some lines in another order, or lines of another place among them."""
    lines = data.split(b"\n")
    start = rng.randrange(len(lines))
    block = lines[start : start + rng.choice((2, 10, 100))]
    rng.shuffle(block)
    lines[start : start + len(block)] = block
    if rng.random() < 0.5:
        lines.insert(rng.randrange(len(lines)), lines[rng.randrange(len(lines))])
    return b"\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (flip_bytes, cut, double, replace_numbers, shuffle_lines)


def write_seeds(directory: Path) -> list[Path]:
    """The sound files."""
    writer = Path(__file__).with_name("seed_writer.py")
    subprocess.run([sys.executable, str(writer), str(directory)], check=True, capture_output=True, timeout=120)
    return sorted(directory.iterdir())


def mutated(seed: int, index: int, seeds: list[Path]) -> tuple[str, bytes]:
    """Name and content of a case."""
    rng = random.Random(f"{seed}/{index}")
    kinds = sorted({path.suffix[1:] for path in seeds})
    kind = rng.choices(kinds, [_SHARES[kind] for kind in kinds])[0]
    source = rng.choice([path for path in seeds if path.suffix[1:] == kind])
    data = source.read_bytes()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(MUTATIONS)(rng, data) if data else data
    return source.name, data


def fuzz(count: int, seed: int, folder: Path, keep: Path | None = None) -> Outcomes:
    """Read mutated files.

    Args:
        count: of files.
        seed: the series of cases.
        folder: to work in, empty.
        keep: folder for the files that do what must not be.
    """
    seeds, inputs, scratch, home = (folder / name for name in ("seeds", "inputs", "scratch", "home"))
    for made in (seeds, inputs, scratch, home):
        made.mkdir()
    sound = write_seeds(seeds)
    outcomes, start = Outcomes(), time.monotonic()
    with (
        ReaderServer(inputs, scratch, home) as server,
        mock.patch.object(part, "run_isolated", server.run),
        mock.patch.object(part, "_MEMORY_BYTES", MEMORY_BYTES),
        mock.patch.object(tempfile, "tempdir", str(scratch)),
    ):
        for index in range(count):
            name, data = mutated(seed, index, sound)
            path = inputs / name
            path.write_bytes(data)
            before = server.cpu_s
            violation = read_one(path, outcomes)
            if server.cpu_s - before > outcomes.slowest_s:
                outcomes.slowest_s, outcomes.slowest = server.cpu_s - before, f"case {index}, {name}"
            if path.read_bytes() != data or list(inputs.iterdir()) != [path] or list(scratch.iterdir()):
                violation = f"it left {sorted(found.name for found in (*inputs.iterdir(), *scratch.iterdir()))}"
            path.unlink()
            if violation:
                outcomes.violations.append(f"seed {seed}, case {index}, {name}: {violation}")
                if keep is not None:
                    (keep / f"{seed}-{index}-{name}").write_bytes(data)
        outcomes.cpu_s = server.cpu_s
    outcomes.seconds = time.monotonic() - start
    return outcomes


def read_one(path: Path, outcomes: Outcomes) -> str:
    """Read a file and count what became of it; what must not be, if it was."""
    violation = ""
    unit = None if path.name.endswith(".step") else "mm"
    try:
        mesh = load_part(path, length_unit=unit, timeout_s=CPU_S)
        outcomes.meshes += 1
        violation = "" if len(mesh.cells) and len(mesh.faces) else "a mesh without cells or faces"
    except InfrastructureError as error:
        violation = f"the fault is put on this machine: {error}"
    except SurrogateError as error:
        outcomes.errors[type(error).__name__] += 1
        blunt = _BLUNT.search(str(error))
        if blunt:
            outcomes.blunt[f"{path.suffix} {next(group for group in blunt.groups() if group)}"] += 1
        if path.name not in str(error):
            violation = f"the message does not name the file: {error}"
    except Exception as error:
        violation = f"{type(error).__name__}: {error}"
    return violation


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="read mutated files")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that do what must not be")
    chosen = parser.parse_args()
    if chosen.keep is not None:
        chosen.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as directory:
        outcomes = fuzz(chosen.count, chosen.seed, Path(directory), chosen.keep)
    print(
        f"{chosen.count} files of seed {chosen.seed} in {outcomes.seconds:.0f} s, {outcomes.cpu_s:.0f} s of CPU in "
        f"readers, at most {outcomes.slowest_s:.1f} s ({outcomes.slowest})"
    )
    print(f"{outcomes.meshes} meshes, {dict(outcomes.errors)}, not foreseen by a reader: {dict(outcomes.blunt)}")
    print("\n".join(outcomes.violations) or "no violation")
    sys.exit(bool(outcomes.violations))


if __name__ == "__main__":
    main()
