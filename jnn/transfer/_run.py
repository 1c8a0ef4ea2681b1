"""`run` trains heads on frozen features for several numbers of labels."""

import dataclasses
import pathlib
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jnn.data import Dataset
from jnn.population import Status
from jnn.population import run as run_study
from jnn.result import Result
from jnn.storage import as_folder
from jnn.study import Members, PathLike, Study, folds
from jnn.transfer._curve import FewShot, about_folds, as_few_shot, with_members
from jnn.transfer._features import features_of
from jnn.transfer._inside import inside
from jnn.transfer._labels import Draw, Draws, draws
from jnn.transfer._probe import check_members, check_task, groups_of, linear_probe
from jnn.transfer._trunk import Trunk, as_trunk

Heads = Study | Callable[[Dataset], Study]

_SPLITS = 20  # by default


def run(
    trunk: Any,
    data: Dataset,
    heads: Heads = linear_probe,
    members: Members | None = None,
    *,
    labels: Sequence[int] = (16, 64, 256, 1024),
    draw: Draw = "auto",
    directory: PathLike | None = None,
    progress: Callable[[Status], None] | None = None,
) -> FewShot:
    """Train heads on frozen features, for several numbers of labels.

        few = jnn.transfer.run(
            {"words": word_vectors, "tf-idf": vectorizer.transform},
            data, heads=study, members=jnn.seeds(20) * jnn.folds(5), labels=[16, 64, 256, 1024],
        )
        print(few)
        few.difference("words", "tf-idf")

    The trunk runs once over all rows. Its features stay on the device, and the heads of all splits
    and numbers of labels are members of one population, as in `jnn.run`. Representations are
    trained one after the other, and share the compiled program where their features have one shape.

    From the training rows of each fold, rows are drawn that keep their labels; the others are not
    used. The draw depends on seed and fold, and fewer labels are among more. All heads take the
    same number of steps: without `Study.steps_per_epoch` an epoch has as many as the most labels
    need, with rows drawn with replacement. Preprocessing (`Study.inputs`) is fitted on the labeled
    rows alone. A trunk that was itself fitted on the test rows, labels or not, flatters the heads.

    With `Study.augment` the features cannot be computed before, and the trunk must be a network:
    it becomes arrays that all members share, inside the program, and sees the augmented rows.

    Args:
        trunk: What turns rows into features: a function `features(rows) -> [rows, ...]` of NumPy or
            JAX, which is given the texts of a data set that has them and `data.x` of any other, and
            may return a sparse matrix of SciPy, which becomes `columns` and `values` of each row; a
            pair (network, parameters); a result of one member; `jnn.transfer.trunk(...)` of these,
            to cut a network before a layer; or a dict of several by name.
        data: The rows.
        heads: What is trained on the features: a study, or a function of the data set of features
            that returns one. By default the logistic regression of `jnn.transfer.linear_probe`. A
            study with `labels` among its `hyper` is told the number.
        members: The population of each number of labels, whose folds' test rows score. By default
            20 random splits with a fifth of the rows as test, stratified for a classification, or
            with a fifth of the groups where the rows have groups.
        labels: Numbers of labeled rows.
        draw: How rows are drawn: "stratified" keeps the shares of the classes, "balanced" draws
            from each class alike, "random" from all rows. "auto" is stratified where each row has a
            class.
        directory: Folder for features and runs. Features are kept by a digest of trunk and data and
            never computed twice; a call that was killed goes on.
        progress: As in `jnn.run`.

    Returns:
        The scores for each representation and number of labels, and the trained heads.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If these do not fit together; before anything is compiled.
    """
    trunks = _named(trunk)
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a jnn.Dataset, got {type(data).__name__}.")
    members = _default_members(data) if members is None else members
    if not isinstance(members, Members):
        raise TypeError(f"members must be members, such as jnn.folds(5), got {members!r}.")
    if not callable(heads) and not isinstance(heads, Study):
        raise TypeError(
            f"heads must be a jnn.Study, or a function that returns one, got {heads!r}."
        )
    if getattr(heads, "func", heads) is linear_probe:
        check_task(data)
    drawn = draws(data, members, labels, draw)
    about = about_folds(data, drawn)
    folder = None if directory is None else as_folder(directory)
    results = {}
    for name, one in trunks.items():
        study, rows = _prepared(name, one, data, heads, folder)
        place = None if folder is None else folder / _folder_name(name)
        results[name] = _trained(study, rows, drawn, about, place, progress)
    return as_few_shot(results, trunks, data, drawn)


def _named(trunk: Any) -> dict[str, Trunk]:
    """Return the trunks by the names of their representations."""
    if not isinstance(trunk, Mapping):
        return {"features": as_trunk(trunk)}
    if not trunk or not all(isinstance(name, str) and name for name in trunk):
        raise ValueError(
            f"A dict of trunks must name each by a text, got {list(trunk)}. Write "
            "{'tf-idf': vectorizer.transform}."
        )
    return {name: as_trunk(one) for name, one in trunk.items()}


def _default_members(data: Dataset) -> Members:
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    splitter: Any = StratifiedShuffleSplit
    if data.groups is not None:
        splitter = GroupShuffleSplit
    elif data.row_labels is None:
        splitter = ShuffleSplit
    return folds(splitter(_SPLITS, test_size=0.2, random_state=0))


def _prepared(
    name: str, trunk: Trunk, data: Dataset, heads: Heads, folder: pathlib.Path | None
) -> tuple[Study, Dataset]:
    """Return the study of the heads and the rows that they train on."""
    if isinstance(heads, Study) and heads.augment is not None:
        return inside(heads, trunk, name), data
    kept = None if folder is None else folder / "features"
    features = features_of(trunk, data, name, kept)
    rows = dataclasses.replace(
        data,
        x=features,
        name=f"{data.name} ({name})",
        feature_names=(),
        encoding=None,
        tokenizer=None,
        texts=None,
    )
    study = heads if isinstance(heads, Study) else heads(rows)
    if not isinstance(study, Study):
        raise TypeError(f"heads must return a jnn.Study, got {type(study).__name__}.")
    if study.augment is not None:
        raise ValueError(
            "A study with augment must be given itself as heads, not by a function, because there "
            "are no features yet."
        )
    return study, rows


def _trained(
    study: Study,
    rows: Dataset,
    drawn: Draws,
    about: Mapping[str, Any],
    folder: pathlib.Path | None,
    progress: Callable[[Status], None] | None,
) -> Result:
    """Return the heads of one representation, in the order of the members of `drawn`."""
    check_members(study, drawn.members)
    study = _with_steps(study, int(drawn.labels.max()))
    groups = groups_of(study, drawn.labels, rows)
    results = []
    for number, places in enumerate(groups):
        population = drawn.trained(places, with_labels="labels" in study.hyper)
        place = folder if folder is None or len(groups) == 1 else folder / str(number)
        result = run_study(study, rows, population, directory=place, progress=progress)
        results.append(with_members(result, drawn.members[places], about))
    if len(results) == 1:
        return results[0]
    order = np.argsort(np.concatenate(groups))
    return with_members(Result.concat(results).take(order), drawn.members, about)


_SAME_STEPS: "weakref.WeakKeyDictionary[Study, dict[int, Study]]" = weakref.WeakKeyDictionary()


def _with_steps(study: Study, most: int) -> Study:
    """Return the study with one number of steps for all sizes; one object for each number."""
    if study.steps_per_epoch is not None or study.trainer is not None:
        return study
    steps = -(-most // study.batch_size)
    made = _SAME_STEPS.setdefault(study, {})
    if steps not in made:
        made[steps] = dataclasses.replace(study, steps_per_epoch=steps)
    return made[steps]


def _folder_name(name: str) -> str:
    return "heads_" + re.sub(r"[^A-Za-z0-9_-]", lambda m: f"%{ord(m[0]):x}", name)
