"""The result of a study: scores on named axes, and the trained members."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn import storage
from jnn.engine import Data, Rows, Trained, Training, make_start, member_of
from jnn.result import _schema
from jnn.result._predict import (
    Prediction,
    ensemble,
    in_batches,
    joined,
    make_answer,
    make_outputs,
    write_program,
)
from jnn.result._selection import Choice, choose, compare
from jnn.result._summary import Summary, make_summary
from jnn.result._table import is_number, read_scores, shared_test_rows, write_scores
from jnn.stats import Comparison
from jnn.study import Members, SavedFolds, Split, Study, narrow

if TYPE_CHECKING:
    import xarray


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What `jnn.run` hands back.

    Attributes:
        scores: `xarray.Dataset` of every metric, on the members' axes and `epoch`; attributes tell how it was made.
        trained: The members' parameters, in the order of `members`.
        members: The population.
        study: What was trained; None when loaded without it, then nothing can be predicted.
        timing: Seconds: "compile", "run", "total".
    """

    scores: "xarray.Dataset"
    trained: Trained
    members: Members
    study: Study | None
    timing: Mapping[str, float]

    @classmethod
    def of(
        cls,
        study: Study,
        data: Any,
        members: Members,
        arrays: Data,
        training: Training,
        timing: Mapping[str, float],
        plan: str,
        *,
        train_rows: float | None = None,
        hyper_history: Mapping[str, np.ndarray] | None = None,
    ) -> "Result":
        """Puts together what a run has trained."""
        best_epoch = None if training.best is None else training.best.epoch
        scores = scores_dataset(study, members, training.history, best_epoch)
        for name, values in (hyper_history or {}).items():
            scores = scores.assign_coords({f"{name}_by_epoch": (("member", "epoch"), values)})
        scores.attrs |= {
            **_schema.describe(data, arrays),
            "model": study.model.name,
            "split": members.split.describe if members.split else "none",
            "train_rows": float(train_rows or np.mean(arrays.train.count)),
            "test_rows": 0.0 if arrays.test is None else float(np.mean(arrays.test.count)),
            "shared_test_rows": shared_test_rows(arrays.test),
            "keep": study.keep,
            "plan": plan,
            "higher_is_better": json.dumps([k for k in scores if study.higher_is_better(str(k))]),
        }
        return cls(scores, training.trained, members, study, dict(timing))

    def final(self) -> "xarray.Dataset":
        """The scores at the epoch whose parameters each member ended with (the last, or its best); no `epoch` axis.

        NaN where the monitored score was finite after no epoch: such a member has its first parameters, untrained.
        """
        if "best_epoch" not in self.scores:
            return self.scores.isel(epoch=-1)
        best = self.scores["best_epoch"]
        return (
            self.scores.sel(epoch=best.clip(min=1))
            .where(best > 0)
            .drop_vars(["best_epoch", "epoch"])
        )

    def summary(self, metric: str | None = None, *, confidence: float = 0.95) -> Summary:
        """Mean and interval per setting; see `jnn.result.make_summary` for the statistics."""
        return make_summary(self.final(), metric, confidence)

    def higher_is_better(self, metric: str) -> bool:
        """Whether a higher value of this score is better."""
        return metric in json.loads(self.scores.attrs["higher_is_better"])

    def member(self, index: int) -> "Result":
        """Member `index` alone, as the result of a population of one."""
        if not -len(self.members) <= index < len(self.members):
            raise ValueError(
                f"wanted one of {len(self.members)} members, but got {index}; they count from 0"
            )
        return self.take(np.asarray([index]) % len(self.members))

    def take(self, indices: np.ndarray) -> "Result":
        """The members at these places, on one axis `member`."""
        members = self.members[indices]
        flat = self.scores.stack(all_members=list(self.members.axes)).transpose("all_members", ...)
        scores = flat.isel(all_members=indices).drop_vars(
            ["all_members", *self.members.axes], errors="ignore"
        )
        scores = scores.rename({"all_members": "member"}).assign_coords(_coordinates(members))
        trained = jax.tree.map(lambda a: a[indices], self.trained)
        return dataclasses.replace(self, scores=scores, trained=trained, members=members)

    def select(self, **numbers: float) -> "Result":
        """The members whose numbers, or `seed` and `fold`, are these: `result.select(**result.best().setting)`.

        Raises:
            ValueError: If there are none.
        """
        columns = self.members.columns()
        if unknown := sorted(numbers.keys() - columns.keys()):
            raise ValueError(
                f"wanted numbers among {sorted(columns)}, but got {unknown}; name those of the members"
            )
        chosen = np.ones(len(self.members), bool)
        for name, value in numbers.items():
            if columns[name].ndim > 1 or not isinstance(value, Real | np.bool_):
                raise ValueError(
                    f"wanted one number for {name!r}, but got {value!r}; choose an array by {name}_index=0, "
                    "and several members by result.take(indices)"
                )
            chosen &= is_number(columns[name], value)
        if not chosen.any():
            raise ValueError(
                f"wanted members with {numbers}, but there are none; look at result.members.columns()"
            )
        return self.take(np.flatnonzero(chosen))

    def outputs(self, x: Any, *, batch: int = 1024) -> Any:
        """Every member's raw outputs for rows x [rows, *features], in the targets' own units: [members, rows, ...]."""
        outputs, x = (
            make_outputs(self._study(), self.scores.attrs),
            _schema.checked_rows(x, self.scores.attrs),
        )
        name = ("outputs", _schema.row_of(self.scores.attrs, "y"))
        return joined(in_batches(self._study(), name, outputs, self.trained, x, batch), axis=1)

    def predict(self, x: Any, *, batch: int = 1024, each: bool = True) -> Prediction:
        """Each member's prediction and the ensemble's mean and spread for rows x.

        For classification these are probabilities [rows, classes]; for regression values in the targets' units.

        Args:
            x: [rows, *features], `jnn.data.Windows`, or a table with the columns that the members were trained on. An
                `np.memmap` may be larger than memory.
            batch: Rows at a time.
            each: Whether to keep every member's prediction, [members, rows, ...], beside mean and spread.
        """
        parts = [p if each else p._replace(members=None) for p in self.predictions(x, batch=batch)]
        members = joined([p.members for p in parts], axis=1) if each else None
        return Prediction(
            members, *(joined([getattr(p, k) for p in parts], axis=0) for k in ("mean", "std"))
        )

    def predictions(self, x: Any, *, batch: int = 1024) -> Iterator[Prediction]:
        """`predict` batch by batch: no more than a batch of rows and of predictions is held."""
        answer, x = (
            make_answer(self._study(), self.scores.attrs),
            _schema.checked_rows(x, self.scores.attrs),
        )
        about = self.scores.attrs
        name = ("answers", about["task"], about["classes"], _schema.row_of(about, "y"))
        for values in in_batches(self._study(), name, answer, self.trained, x, batch):
            yield Prediction(
                values,
                *(jax.tree.map(lambda a, f=f: f(a, axis=0), values) for f in (np.mean, np.std)),
            )

    def export(
        self,
        path: Any,
        *,
        member: int | None = None,
        platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    ) -> pathlib.Path:
        """Writes the trained network as one file that runs without jnn, Flax or this study: StableHLO.

            jax.export.deserialize(pathlib.Path(path).read_bytes()).call(x)

        takes any number of rows x, untransformed, in the type of the training rows: preprocessing is in the file.

        Args:
            path: The file.
            member: Its predictions, as `predict` gives them; by default the pair (mean, std) over all members.
            platforms: On which the file is to run.
        """
        answer = make_answer(self._study(), self.scores.attrs)
        if member is None:
            return write_program(path, ensemble(answer, self.trained), self.scores.attrs, platforms)
        one = jax.tree.map(lambda a: jnp.asarray(a[0]), self.member(member).trained)
        return write_program(path, lambda x: answer(one, x), self.scores.attrs, platforms)

    def best(self, metric: str | None = None, *, confidence: float = 0.95) -> Choice:
        """The best setting, with a score that its choice has not made too good; see `jnn.result.choose`."""
        return choose(self.final(), metric, confidence)

    def compare(
        self, a: Mapping[str, float], b: Mapping[str, float], metric: str | None = None
    ) -> Comparison:
        """Compares the settings that have the numbers a and b by paired differences; see `jnn.result.compare`."""
        return compare(self.final(), a, b, metric)

    def _study(self) -> Study:
        if self.study is None:
            raise ValueError(
                "wanted a result with its study, but it was loaded without; use Result.load(path, study)"
            )
        return self.study

    def save(self, directory: Any) -> pathlib.Path:
        """Writes scores.nc (netCDF), members.safetensors and result.json to a folder; makes it if it is not there.

        In scores.nc a name that is more than ASCII letters and digits is percent-encoded.
        """
        folder = pathlib.Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "scores.nc.partial"
        write_scores(self.scores, partial)
        for name in (
            "result.json",
            "run.json",
        ):  # if this is killed, files of two results are not read as one
            (folder / name).unlink(missing_ok=True)
        partial.replace(folder / "scores.nc")
        storage.save(folder / "members.safetensors", self.trained._asdict())
        study = {} if self.study is None else self.study.describe()
        notes = {
            "timing": dict(self.timing),
            "study": study,
            "members": _members_to_json(self.members),
        }
        storage.write_text(folder / "result.json", json.dumps(notes, indent=1))
        return folder

    @classmethod
    def load(cls, directory: Any, study: Study | None = None) -> "Result":
        """Reads a saved result.

        Args:
            directory: The folder.
            study: The study that it was made by; without it the parameters come as nested dicts and `predict` refuses.

        Raises:
            ValueError: If there is no result, or the study's arrays are not those of the result.
        """
        folder, scores = pathlib.Path(directory), read_scores(directory)
        notes = storage.read_json(folder / "result.json")
        path, members = folder / "members.safetensors", _members_from_json(notes["members"])
        if study is None:
            arrays = storage.load_nested(path)
            trained = Trained(*(arrays.get(name, {}) for name in Trained._fields))
        else:
            trained = storage.load(
                path, _like(study, members, json.loads(scores.attrs["row"])), members=True
            )
        return cls(scores, trained, members, study, notes["timing"])


def scores_dataset(
    study: Study,
    members: Members,
    history: Mapping[str, np.ndarray],
    best_epoch: np.ndarray | None = None,
) -> "xarray.Dataset":
    """Return scores of every member and epoch with the axes of the members.

    Args:
        study: What is trained.
        members: The population.
        history: Scores by name, [members, epochs, ...].
        best_epoch: The epoch that each member keeps, counted from 0; None if it is the last.
    """
    import xarray

    axes = tuple(members.axes)
    variables = {}
    for name in _in_order(history, study):
        values = history[name]
        shaped = np.asarray(values).reshape(*members.shape, *values.shape[1:])
        extra = [f"{name}_axis{i}" for i in range(values.ndim - 2)]
        variables[name] = ((*axes, "epoch", *extra), shaped)
    if best_epoch is not None:
        variables["best_epoch"] = (axes, np.asarray(best_epoch).reshape(members.shape) + 1)
    epochs = next(iter(history.values())).shape[1]
    coordinates = {**_coordinates(members), "epoch": np.arange(1, epochs + 1)}
    return xarray.Dataset(variables, coordinates)


def _in_order(history: Mapping[str, Any], study: Study) -> list[str]:
    """The scores' names: as the study names its metrics, on held-out rows first (a traced dict comes sorted)."""
    names = [
        prefix + name
        for prefix in ("", "validation_", "train_")
        for name in (*study.metrics, "loss")
    ]
    return [name for name in names if name in history]


def _coordinates(members: Members) -> dict[str, Any]:
    return {
        name: (axis, column)
        for axis, columns in members.axes.items()
        for name, column in columns.items()
        if column.ndim == 1
    }


def _like(study: Study, members: Members, row: Mapping[str, Any]) -> Trained:
    """The shapes of one trained member of `study` on data with such rows."""
    x, y = (_schema.of_kind(*row[k]) for k in ("x", "y"))
    index = Rows(jax.ShapeDtypeStruct((1, 2), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32))
    columns = {"seed": np.int32(0), **{k: v[0] for k, v in narrow(members.numbers()).items()}}
    state = jax.eval_shape(make_start(study), member_of(columns), Data(x, y, index))
    return state.trained


def _members_to_json(members: Members) -> dict[str, Any]:
    axes = {
        axis: {k: v.tolist() for k, v in columns.items()} for axis, columns in members.axes.items()
    }
    split = members.split and {"describe": members.split.describe, "count": len(members.split)}
    return {"axes": axes, "split": split}


def _members_from_json(found: Mapping[str, Any]) -> Members:
    axes = {
        axis: {k: np.asarray(v) for k, v in columns.items()}
        for axis, columns in found["axes"].items()
    }
    return Members(axes, Split(SavedFolds(**found["split"])) if found["split"] else None)
