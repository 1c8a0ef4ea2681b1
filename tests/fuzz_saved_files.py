"""Random changes of saved results and unfinished runs: each is refused, or does no harm.

    python -m tests.fuzz_saved_files 5000

The default suite makes a hundred of them, in `tests/test_saved_files.py`.
"""

import collections
import copy
import dataclasses
import functools
import json
import pathlib
import shutil
import sys
import tempfile

import jax
import numpy as np

import jnn
from jnn.cli._saved_command import read_command, write_command
from tests.studies import IRIS, linear, study

MEMBERS = jnn.seeds(2) * jnn.folds(2) * jnn.grid(learning_rate=[0.01, 0.1])
MADE = study(model=linear(3, 3), epochs=2)
PLAN = jnn.Plan(1, 1, 8)
OLD = pathlib.Path(__file__).parent / "fixtures" / "results_0_1" / "iris"
VALUES = (None, True, -1, 0, 7, 1e300, 0.5, "", "a", "0.1", [], [1], ["a", 2], {}, {"a": 1}, [[]])


@functools.cache
def originals() -> dict[str, pathlib.Path]:
    """Make the folders that are changed: of a result, of another one, and of an unfinished run."""
    base = pathlib.Path(tempfile.mkdtemp())
    folders = {name: base / name for name in ("complete", "other", "unfinished", "bare", "old")}
    made = jnn.run(MADE, IRIS, MEMBERS, plan=PLAN, directory=folders["complete"])
    write_command(jnn.cli._command.Run("iris"), folders["complete"])
    _another(made).save(folders["other"])

    def die(status):
        if status.stage == "training":
            raise KeyboardInterrupt

    try:
        jnn.run(MADE, IRIS, MEMBERS, plan=PLAN, directory=folders["unfinished"], progress=die,
                save_every=0, look_every=0)  # fmt: skip
    except KeyboardInterrupt:
        write_command(jnn.cli._command.Run("iris"), folders["unfinished"])
    shutil.copytree(folders["complete"], folders["bare"])
    _strip(folders["bare"] / "result.json")
    shutil.copytree(OLD, folders["old"])
    return folders


def _another(result):
    """Return a result of the same forms with other numbers."""
    part = result.parts[0]
    params = jax.tree.map(lambda array: array + 1, part.trained.params)
    other = dataclasses.replace(part, trained=part.trained._replace(params=params))
    return dataclasses.replace(result, scores=result.scores + 1, parts=(other,))


def _strip(path: pathlib.Path) -> None:
    """Take the digests out of result.json, as in a result of a former version."""
    record = json.loads(path.read_text())
    for name in ("sha256", "digests", "versions", "jnn"):
        record.pop(name, None)
    path.write_text(json.dumps(record))


@functools.cache
def expected(made):
    return jnn.Result.load(originals()["complete"], made)


def change(folder: pathlib.Path, random: np.random.Generator) -> str:
    """Change one file of a folder, and return how."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    path = files[random.integers(len(files))]
    kinds = [flip, truncate, overwrite, insert, remove, exchange, empty]
    if path.suffix == ".json":
        kinds += [edit_json] * 7
    kind = kinds[random.integers(len(kinds))]
    kind(path, random)
    return f"{kind.__name__} {path.relative_to(folder)}"


def flip(path, random):
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    path.write_bytes(bytes(content))


def truncate(path, random):
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))])


def overwrite(path, random):
    content = bytearray(path.read_bytes())
    start = int(random.integers(len(content)))
    count = int(random.integers(1, 64))
    content[start : start + count] = random.bytes(len(content[start : start + count]))
    path.write_bytes(bytes(content))


def insert(path, random):
    content = path.read_bytes()
    start = int(random.integers(len(content)))
    path.write_bytes(content[:start] + random.bytes(int(random.integers(1, 9))) + content[start:])


def remove(path, random):
    path.unlink()


def empty(path, random):
    path.write_bytes(b"")


def exchange(path, random):
    other = originals()["other"] / path.name
    shutil.copy(other if other.exists() else originals()["other"] / "members.safetensors", path)


def edit_json(path, random):
    """Set, remove or add an entry somewhere in a JSON file; the digest may go as well."""
    content = json.loads(path.read_text())
    if random.random() < 0.5:
        content.pop("sha256", None)
    place = content
    while True:
        keys = [*place] if isinstance(place, dict) else [*range(len(place))]
        if not keys:
            break
        key = keys[random.integers(len(keys))]
        if isinstance(place[key], dict | list) and random.random() < 0.8:
            place = place[key]
            continue
        action = random.random()
        value = copy.deepcopy(VALUES[random.integers(len(VALUES))])
        if action < 0.5:
            place[key] = value
        elif action < 0.8:
            del place[key]
        elif isinstance(place, dict):
            place["another"] = value
        else:
            place.append(value)
        break
    path.write_text(json.dumps(content))


def outcome(kind: str, seed: int) -> str:
    """Change a copy of a folder, use it, and return "same", "refused", or "changed".

    Raises:
        Exception: Whatever is no sentence for the user.
    """
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as base:
        folder = pathlib.Path(base) / "run"
        shutil.copytree(originals()[kind], folder)
        how = change(folder, random)
        try:
            return use(kind, folder, random)
        except (ValueError, OSError) as error:
            sentence = str(error)
            assert sentence and "\n" not in sentence and len(sentence) < 600, (how, sentence)
            return "refused"
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}: {how}") from error


def use(kind: str, folder: pathlib.Path, random: np.random.Generator) -> str:
    if (folder / "command.json").exists() and random.random() < 0.3:
        read_command(folder)
    made = MADE if kind == "unfinished" or random.random() < 0.5 else None
    if kind == "unfinished":
        got = jnn.run(MADE, IRIS, MEMBERS, plan=PLAN, directory=folder)
    elif kind == "old":
        got = jnn.Result.load(folder)
        str(got.summary())
        return "same"  # there is nothing to compare it with
    else:
        got = jnn.Result.load(folder, made)
        str(got.summary()), repr(got)
    return "same" if is_same(got, expected(made)) else "changed"


def is_same(got, wanted) -> bool:
    """Whether a result has the same scores, members, schema and parameters."""
    if not got.scores.identical(wanted.scores) or got.schema.y != wanted.schema.y:
        return False
    columns = got.members.columns()
    same = {k: np.array_equal(v, columns.get(k)) for k, v in wanted.members.columns().items()}
    leaves = [*map(np.asarray, jax.tree.leaves(got.trained))]
    others = [*map(np.asarray, jax.tree.leaves(wanted.trained))]
    arrays = [a.tobytes() for a in leaves] == [a.tobytes() for a in others]
    names = got.schema.target_names == wanted.schema.target_names
    return all(same.values()) and arrays and names


def main(count: int) -> None:
    """Print how many changes were refused, harmless, or changed a result without a word."""
    outcomes: collections.Counter = collections.Counter()
    for seed in range(count):
        kind = ("complete", "unfinished", "complete", "bare", "old")[seed % 5]
        try:
            found = outcome(kind, seed)
        except AssertionError as error:
            found = "FAILED"
            print(error, repr(error.__cause__), flush=True)
        if found == "changed" and kind != "bare":
            print(f"CHANGED {kind} {seed}", flush=True)
        outcomes[kind, found] += 1
        if seed % 500 == 499:
            print(seed + 1, dict(outcomes), flush=True)
    for (kind, found), number in sorted(outcomes.items()):
        print(f"{kind:<12} {found:<8} {number}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
