"""The result of a study: scores on named axes, and the trained members."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn import checkpoint
from jnn.data import Windows
from jnn.engine import Data, Rows, State, make_start
from jnn.members import Members, narrow
from jnn.plan import Plan
from jnn.population import member_of
from jnn.program import Progress, make_predict
from jnn.splits import Split
from jnn.stats import Comparison
from jnn.study import Study
from jnn.summary import Choice, Summary, choose, compare, make_summary

if TYPE_CHECKING:
    import xarray


class Trained(NamedTuple):
    """The trained members' arrays, each with a first axis [members]."""

    params: Any
    model_state: Any
    scale: Any
    hyper: dict[str, Any]


class Prediction(NamedTuple):
    """What the members say of some rows.

    Attributes:
        members: [members, rows, ...], each member's own prediction.
        mean: [rows, ...], the ensemble's.
        std: [rows, ...], the members' disagreement.
    """

    members: np.ndarray
    mean: np.ndarray
    std: np.ndarray


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
        progress: Progress,
        timing: Mapping[str, float],
        plan: Plan,
    ) -> "Result":
        """Puts together what a run has trained."""
        state, best = progress.state, progress.best
        params, model_state = (state.params, state.model_state) if best is None else best[2:]
        scores = _dataset(study, members, progress)
        scores.attrs |= {
            "data": data.name,
            "task": data.task,
            "classes": data.classes,
            "row": json.dumps({"x": _kind_of(arrays.x), "y": _kind_of(arrays.y)}),
            "model": study.model.name,
            "split": members.split.describe if members.split else "none",
            "train_rows": float(np.mean(arrays.train.count)),
            "test_rows": 0.0 if arrays.test is None else float(np.mean(arrays.test.count)),
            "keep": study.keep,
            "plan": str(plan),
            "higher_is_better": json.dumps([k for k in scores if study.higher_is_better(str(k))]),
        }
        return cls(scores, Trained(params, model_state, state.scale, state.hyper), members, study, dict(timing))

    def final(self) -> "xarray.Dataset":
        """The scores at the epoch whose parameters each member ended with (the last, or its best); no `epoch` axis."""
        if "best_epoch" not in self.scores:
            return self.scores.isel(epoch=-1)
        return self.scores.sel(epoch=self.scores["best_epoch"].clip(min=1)).drop_vars(["best_epoch", "epoch"])

    def summary(self, metric: str | None = None, *, confidence: float = 0.95) -> Summary:
        """Mean and interval per setting; see `jnn.summary.make_summary` for the statistics."""
        return make_summary(self.final(), metric, confidence)

    def higher_is_better(self, metric: str) -> bool:
        """Whether a higher value of this score is better."""
        return metric in json.loads(self.scores.attrs["higher_is_better"])

    def member(self, index: int) -> "Result":
        """Member `index` alone, as the result of a population of one."""
        members = self.members[index]
        flat = self.scores.stack(all_members=list(self.members.axes)).transpose("all_members", ...)
        scores = flat.isel(all_members=[index]).drop_vars(["all_members", *self.members.axes], errors="ignore")
        scores = scores.rename({"all_members": "member"}).assign_coords(_coordinates(members))
        trained = jax.tree.map(lambda a: a[index : index + 1], self.trained)
        return dataclasses.replace(self, scores=scores, trained=trained, members=members)

    def outputs(self, x: Any, *, batch: int = 1024) -> np.ndarray:
        """Every member's raw outputs for rows x [rows, *features], in the targets' own units: [members, rows, ...]."""
        if self.study is None:
            raise ValueError("wanted a result with its study, but it was loaded without; use Result.load(path, study)")
        states = State(
            self.trained.params, self.trained.model_state, None, self.trained.scale, self.trained.hyper, None, None
        )
        predict = self.study.compiled.get("predict")
        if predict is None:
            one = make_predict(self.study)
            predict = jax.jit(lambda states, x: jax.lax.map(lambda state: one(state, x), states))
            self.study.compiled["predict"] = predict
        x = np.asarray(x)
        if len(x) == 0:
            raise ValueError("wanted at least one row to predict, but got none")
        pieces = []
        for start in range(0, len(x), batch):
            rows = x[start : start + batch]
            padded = np.concatenate([rows, np.repeat(rows[-1:], batch - len(rows), axis=0)]) if len(x) > batch else rows
            pieces.append(np.asarray(predict(states, padded))[:, : len(rows)])
        return np.concatenate(pieces, axis=1)

    def predict(self, x: Any, *, batch: int = 1024) -> Prediction:
        """Each member's prediction and the ensemble's mean and spread for rows x.

        For classification these are probabilities [rows, classes]; for regression values in the targets' units.
        """
        outputs = self.outputs(x, batch=batch)
        if self.scores.attrs["task"] == "classification":
            outputs = np.asarray(_probabilities(outputs, self.scores.attrs["classes"]))
        return Prediction(outputs, outputs.mean(axis=0), outputs.std(axis=0))

    def best(self, metric: str | None = None) -> Choice:
        """The best setting, with a score that its choice has not made too good; see `jnn.summary.choose`."""
        return choose(self.final(), metric)

    def compare(self, a: Mapping[str, float], b: Mapping[str, float], metric: str | None = None) -> Comparison:
        """Compares two settings by their paired differences; see `jnn.summary.compare`."""
        return compare(self.final(), a, b, metric)

    def save(self, directory: Any) -> pathlib.Path:
        """Writes scores.nc (netCDF), members.safetensors and result.json to a folder; makes it if it is not there."""
        folder = pathlib.Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "scores.nc.partial"
        self.scores.to_netcdf(partial, engine="scipy")
        partial.replace(folder / "scores.nc")
        checkpoint.save(folder / "members.safetensors", self.trained._asdict())
        study = {} if self.study is None else self.study.describe()
        notes = {"timing": dict(self.timing), "study": study, "members": _members_to_json(self.members)}
        checkpoint.write_text(folder / "result.json", json.dumps(notes, indent=1))
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
        import xarray

        folder = pathlib.Path(directory)
        if not (folder / "result.json").exists():
            raise ValueError(
                f"wanted a folder with a result, but {folder} has no result.json; give the folder of a run"
            )
        notes = json.loads((folder / "result.json").read_text())
        with xarray.open_dataset(folder / "scores.nc", engine="scipy") as opened:
            scores = opened.load()
        path, members = folder / "members.safetensors", _members_from_json(notes["members"])
        if study is None:
            arrays = checkpoint.load_nested(path)
            trained = Trained(*(arrays.get(name, {}) for name in Trained._fields))
        else:
            trained = checkpoint.load(path, _like(study, members, json.loads(scores.attrs["row"])))
        return cls(scores, trained, members, study, notes["timing"])


def _dataset(study: Study, members: Members, progress: Progress) -> "xarray.Dataset":
    import xarray

    axes = tuple(members.axes)
    variables = {}
    for name in _in_order(progress.history, study):
        values = progress.history[name]
        shaped = np.asarray(values).reshape(*members.shape, *values.shape[1:])
        extra = [f"{name}_axis{i}" for i in range(values.ndim - 2)]
        variables[name] = ((*axes, "epoch", *extra), shaped)
    if progress.best is not None:
        variables["best_epoch"] = (axes, np.asarray(progress.best[1]).reshape(members.shape) + 1)
    coordinates = {**_coordinates(members), "epoch": np.arange(1, study.epochs + 1)}
    return xarray.Dataset(variables, coordinates)


def _in_order(history: Mapping[str, Any], study: Study) -> list[str]:
    """The scores' names: as the study names its metrics, on held-out rows first (a traced dict comes sorted)."""
    names = [prefix + name for prefix in ("", "validation_", "train_") for name in (*study.metrics, "loss")]
    return [name for name in names if name in history]


def _coordinates(members: Members) -> dict[str, Any]:
    return {
        name: (axis, column)
        for axis, columns in members.axes.items()
        for name, column in columns.items()
        if column.ndim == 1
    }


def _probabilities(outputs: np.ndarray, classes: int) -> jax.Array:
    """Softmax over the last axis if it counts the classes; else the sigmoid of a single logit, as two classes."""
    if outputs.ndim > 2 and outputs.shape[-1] == classes:
        return jax.nn.softmax(outputs, axis=-1)
    logits = outputs[..., 0] if outputs.ndim > 2 else outputs
    return jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)], axis=-1)


def _kind_of(rows: Any) -> list[Any]:
    """What `_of_kind` makes rows of this shape and type from."""
    if isinstance(rows, Windows):
        return [rows.values.shape[1:], str(rows.dtype), rows.length, rows.offset, rows.span]
    return [rows.shape[1:], str(rows.dtype)]


def _of_kind(shape: tuple[int, ...], dtype: str, *window: int) -> Any:
    """Two rows, as shapes."""
    if window:
        return Windows(jax.ShapeDtypeStruct((window[-1] + 1, *shape), dtype), *window)
    return jax.ShapeDtypeStruct((2, *shape), dtype)


def _like(study: Study, members: Members, row: Mapping[str, Any]) -> Trained:
    """The shapes of one trained member of `study` on data with such rows."""
    x, y = (_of_kind(*row[k]) for k in ("x", "y"))
    rows = Rows(jax.ShapeDtypeStruct((1, 2), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32))
    columns = {"seed": np.int32(0), **{k: v[0] for k, v in narrow(members.numbers()).items()}}
    state = jax.eval_shape(make_start(study), member_of(columns), Data(x, y, rows))
    return Trained(state.params, state.model_state, state.scale, state.hyper)


def _members_to_json(members: Members) -> dict[str, Any]:
    axes = {axis: {k: v.tolist() for k, v in columns.items()} for axis, columns in members.axes.items()}
    split = members.split and {"describe": members.split.describe, "count": members.split.count}
    return {"axes": axes, "split": split}


def _members_from_json(found: Mapping[str, Any]) -> Members:
    axes = {axis: {k: np.asarray(v) for k, v in columns.items()} for axis, columns in found["axes"].items()}
    return Members(axes, Split(**found["split"], make=_no_rule) if found["split"] else None)


def _no_rule(data: Any) -> Any:
    raise ValueError("wanted a rule that splits data, but this one was read from a file; make the folds anew")
