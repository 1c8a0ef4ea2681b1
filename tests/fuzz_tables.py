"""Damaged CSV files through the reading of `jnn run`: `python -m tests.fuzz_tables 5000`.

Each file is a sound table with some bytes, cells or lines changed. It is read with random options,
and gives a data set or one sentence.
"""

import argparse
import collections
import pathlib
import random
import tempfile
import warnings

from jnn.cli._command import parse
from jnn.cli._input import user_input
from jnn.cli._job import load_data
from jnn.cli._words import sentence_of

_LINES = range(24)
TABLES = (
    "id,a,b,y\n" + "".join(f"{i},{i}.5,{'red' if i % 2 else 'blue'},{i % 3}\n" for i in _LINES),
    "x;z;y\n" + "".join(f"{i},5;{i};{i % 2}\n" for i in _LINES),
    "\ufeffgröße\ty\n" + "".join(f"{i}\t{i % 2}\n" for i in _LINES),
    'text,y\n"a, b\nc",good\n"d ""e""",bad\n' + "f,good\ng,bad\n" * 9,
    "1,14.23,1.71\n1,13.2,1.78\n2,13.16,2.36\n" * 6,
    "a b  c\n" + "".join(f"{i}  {i}.25   {i % 2}\n" for i in _LINES),
    "ts,y\n" + "".join(f"{202401150000 + 7 * i},{1e9 + i}\n" for i in _LINES),
    "day,load\n" + "".join(f"2024-01-{i + 1:02},{i}.5\n" for i in _LINES),
)
BITS = (
    *",;\t\"'\n\r\0|\\#? -",
    *("\r\n", "nan", "inf", "1e400", "1e39", "NA", "", "9" * 23, "1,234", "$5", "5%", "2024-01-01"),
    *("True", "ä", "0x1f", "1_0", "1e-320", "9223372036854775808", '""', '"\n', "\u2028", "\x1a"),
)
RAW = (b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xe4", *(bit.encode() for bit in BITS))
OPTIONS = (
    *("--missing drop", "--missing fill", "--no-header", "--header", "--decimal ,", "--quote none"),
    *("--encoding cp1252", "--encoding utf-16", "--task classification", "--task regression"),
    *("--category NAME", "--numeric NAME", "--text NAME", "--id NAME", "--drop NAME"),
    *("--group NAME", "--time NAME", "--weights NAME", "--separator ;", "--thousands ,"),
    *("--separator \\s+", "--horizon 2 --window 3"),
)


def mutated(table: bytes, chance: random.Random) -> bytes:
    """Return a table with one or more changes."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        place = chance.randrange(len(table) + 1)
        end = b"\n" if chance.random() < 0.5 else b","
        parts = table.split(end)
        part = chance.randrange(len(parts))
        kind = chance.choice(["insert", "insert", "replace", "cut", "shuffle", "repeat", "cell"])
        if kind == "insert":
            table = table[:place] + chance.choice(RAW) + table[place:]
        elif kind == "replace":
            table = table[:place] + chance.choice(RAW) + table[place + chance.randrange(1, 6) :]
        elif kind == "cut":
            table = table[:place]
        elif kind == "shuffle":
            chance.shuffle(parts)
            table = end.join(parts)
        elif kind == "repeat":
            table = end.join([*parts[:part], *parts[part:][:1], *parts[part:]])
        else:
            table = end.join([*parts[:part], chance.choice(RAW), *parts[part + 1 :]])
    return table


def words_for(table: bytes, name: str, chance: random.Random) -> list[str]:
    """Return a command for a table: mostly its last column as the target, half without options."""
    header = table.split(b"\n")[0].decode("utf-8", "replace")
    names = [part.strip(' "\r') for part in header.replace(";", ",").replace("\t", ",").split(",")]
    names = [part for part in names if part and not part.startswith("-")] or ["y"]
    words = ["run", name, "--target", names[-1] if chance.random() < 0.8 else chance.choice(names)]
    if chance.random() < 0.5:
        option = chance.choice(OPTIONS).split()
        words += [chance.choice(names) if word == "NAME" else word for word in option]
    return words


def outcome(words: list[str]) -> str:
    """Return "data" or "sentence"; anything else is raised."""
    try:
        with warnings.catch_warnings(), user_input():
            warnings.simplefilter("error")
            warnings.simplefilter("default", UserWarning)  # notes to the user
            load_data(parse(words))
    except (ValueError, OSError, ImportError) as error:
        sentence = sentence_of(error)
        assert "\n" not in sentence and (" must " in sentence or " needs " in sentence), sentence
        return "sentence"
    return "data"


def fuzz(count: int, seed: int, folder: pathlib.Path) -> collections.Counter[str]:
    """Read damaged files, and count what comes of them; the file at fault is left in the folder."""
    chance = random.Random(seed)
    outcomes: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        table = mutated(chance.choice(TABLES).encode(), chance)
        path = folder / chance.choice(["t.csv", "t.csv", "t.tsv", "t.txt", "t.data"])
        path.write_bytes(table)
        words = words_for(table, str(path), chance)
        try:
            outcomes[outcome(words)] += 1
        except BaseException:
            print(f"seed {seed}: {words}, {table[:300]!r}")
            raise
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(fuzz(arguments.count, arguments.seed, pathlib.Path(folder)))
