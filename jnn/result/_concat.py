"""Results that add up: rounds of a search, groups of one shape, parts of several workers."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jnn.result._files import Content
from jnn.result._predict import Part
from jnn.result._schema import Schema
from jnn.result._table import EPOCH_NOTES, is_text
from jnn.study import Members

if TYPE_CHECKING:
    import xarray

_RESERVED = {"seed", "fold", "sample", "member", "epoch", "all_members"}
_SAME = ("data", "task", "x", "y", "classes", "vocabulary", "encoding", "feature_names")
Columns = dict[str, np.ndarray]


def concatenate(
    contents: Sequence[Content], settings: Mapping[str, Sequence[float | str]]
) -> Content:
    """Join the members of several results; see `jnn.Result.concat`."""
    _check_settings(len(contents), settings, contents)
    schema = _joined_schema([content.schema for content in contents])
    _check_scores([content.scores for content in contents])
    members = _joined_members(contents, settings)
    scores = _joined_scores([content.scores for content in contents], members)
    timing: collections.Counter[str] = collections.Counter()
    for content in contents:
        timing.update(content.timing)
    return Content(scores, schema, members, _joined_parts(contents), dict(timing))


def _check_settings(
    count: int, settings: Mapping[str, Sequence[float | str]], contents: Sequence[Content]
) -> None:
    for name, values in settings.items():
        if isinstance(values, str) or len(values) != count:
            raise ValueError(
                f"{name} must name one value for each of the {count} results, got {values!r}."
            )
        if np.asarray(values).dtype.kind not in "USiufb":
            raise TypeError(f"{name} must hold numbers or texts, got {values!r}.")
        if not isinstance(values[0], str) and any(isinstance(value, str) for value in values):
            raise TypeError(f"{name} must hold numbers alone or texts alone, got {values!r}.")
        known = any(name in content.members.columns() for content in contents)
        if known or name in _RESERVED or name.endswith("_index") or hasattr(Mapping, name):
            raise ValueError(
                f"{name!r} cannot be added as a setting, because it has a meaning already. "
                "Choose another name."
            )


def _joined_schema(schemas: Sequence[Schema]) -> Schema:
    """Return the schema of all; refuse results of different rows, which cannot be compared."""
    first = schemas[0]
    for other in schemas[1:]:
        differing = [name for name in _SAME if getattr(first, name) != getattr(other, name)]
        if differing:
            raise ValueError(
                f"Results can be joined if they are about the same data, got {first.data!r} and "
                f"{other.data!r}, which differ in {', '.join(differing)}. Compare their summaries "
                "side by side."
            )
        is_known = bool(first.digest and other.digest)
        if first.split != other.split or (is_known and first.digest != other.digest):
            raise ValueError(
                "Results can be joined if their members were scored on the same rows, got "
                f"{first.split or 'no folds'!r} and {other.split or 'no folds'!r} of "
                f"{first.data!r} with different rows. Train them on the same data and folds."
            )
        if set(first.higher_is_better) != set(other.higher_is_better):
            raise ValueError(
                "Results can be joined if a higher value of the same scores is better, got "
                f"{sorted(first.higher_is_better)} and {sorted(other.higher_is_better)}."
            )
    return dataclasses.replace(
        first,
        model=_distinct(schema.model for schema in schemas),
        plan=_distinct(schema.plan for schema in schemas),
        keep="best" if any(schema.keep == "best" for schema in schemas) else "last",
        # Fewer training rows give a wider corrected interval.
        train_rows=min(schema.train_rows for schema in schemas),
    )


def _joined_members(
    contents: Sequence[Content], settings: Mapping[str, Sequence[float | str]]
) -> Members:
    """Return all members on one axis `member`, with the union of their columns."""
    tables = [_columns(content) for content in contents]
    names = list(dict.fromkeys(name for table in tables for name in table))
    counts = [len(content.members) for content in contents]
    columns: Columns = {}
    for name in names:
        pieces = [
            table[name] if name in table else _absent(name, tables, content)
            for table, content in zip(tables, contents, strict=True)
        ]
        columns[name] = _joined_column(name, pieces)
    for name, values in settings.items():
        columns[name] = np.repeat(np.asarray(values), counts)
    _check_distinct(columns)
    split = next((c.members.split for c in contents if c.members.split is not None), None)
    return Members({"member": {"member": np.arange(sum(counts)), **columns}}, split)


def _columns(content: Content) -> Columns:
    """Return the columns of a result's members; those that only count are left out."""
    columns = content.members.columns()
    return {name: c for name, c in columns.items() if name not in ("member", "sample")}


def _absent(name: str, tables: Sequence[Columns], content: Content) -> np.ndarray:
    """Return a column for members that lack it: the number that their study has, otherwise NaN."""
    example = next(table[name] for table in tables if name in table)
    if name in ("seed", "fold") or example.ndim > 1 or name.endswith("_index") or is_text(example):
        raise ValueError(
            f"Results can be joined if all members have {name!r}, which some lack. "
            "Give it to all, or join the others."
        )
    column = np.full(len(content.members), np.nan)
    for part in content.parts:
        if part.study is not None:
            column[part.places] = part.study.hyper.get(name, np.nan)
    return column


def _joined_column(name: str, pieces: Sequence[np.ndarray]) -> np.ndarray:
    if len({piece.shape[1:] for piece in pieces}) > 1 or len({is_text(p) for p in pieces}) > 1:
        shapes = [piece.shape[1:] for piece in pieces]
        raise ValueError(
            f"{name!r} must be of one shape and kind in all results, got shapes {shapes}."
        )
    return np.concatenate(pieces)


def _check_distinct(columns: Columns) -> None:
    """Check that no member comes twice: its repetition would count as a new seed."""
    names = [name for name, column in columns.items() if column.ndim == 1]
    labels = zip(*(map(str, columns[name].tolist()) for name in names), strict=True)
    counts = collections.Counter(labels)
    label, count = counts.most_common(1)[0] if counts else ((), 2)
    if count > 1:
        member = ", ".join(f"{name}={value}" for name, value in zip(names, label, strict=True))
        raise ValueError(
            "Results can be joined if no member comes twice, got the member with "
            f"{member or 'no setting'} more than once. Name what differs, e.g. "
            "Result.concat([a, b], architecture=['mlp', 'cnn'])."
        )


def _check_scores(parts: Sequence["xarray.Dataset"]) -> None:
    """Check that all results have the same scores, of the same shapes."""
    names = [set(map(str, scores.data_vars)) - set(EPOCH_NOTES) for scores in parts]
    if missing := sorted(set.union(*names) - set.intersection(*names)):
        raise ValueError(
            f"Results can be joined if they have the same scores, got {missing} in some alone. "
            "Train them with the same metrics, validation and test rows."
        )
    for axis in {str(d) for scores in parts for d in scores.dims} - {"member", "epoch"}:
        if len({scores.sizes[axis] for scores in parts}) > 1:
            raise ValueError(f"Results can be joined if {axis} has one length in all of them.")


def _joined_scores(parts: Sequence["xarray.Dataset"], members: Members) -> "xarray.Dataset":
    """Return the scores on one axis `member`; NaN after the last epoch of each member."""
    import xarray

    has_notes = len({scores.sizes["epoch"] for scores in parts}) > 1 or any(
        note in scores for scores in parts for note in EPOCH_NOTES
    )
    flat = [_with_last_epoch(scores) if has_notes else scores for scores in parts]
    joined = xarray.concat(
        [scores.drop_vars(_member_coordinates(scores)) for scores in flat],
        dim="member",
        join="outer",
        data_vars="all",
        coords="minimal",
        compat="override",
        combine_attrs="drop",
    )
    columns = {k: ("member", v) for k, v in members.columns().items() if v.ndim == 1}
    joined = joined.assign_coords(columns)
    # The axis of epochs comes last but for those of one score, as in every result.
    return joined.transpose("member", "epoch", ...)


def _with_last_epoch(scores: "xarray.Dataset") -> "xarray.Dataset":
    """Note the epoch that each member ended with, as other members ended with others."""
    last = np.full(scores.sizes["member"], scores.sizes["epoch"])
    notes = {"last_epoch": ("member", last)}
    if "last_epoch" in scores:
        notes = {"last_epoch": ("member", scores["last_epoch"].values)}
    if "best_epoch" in scores:
        notes = {"last_epoch": ("member", scores["best_epoch"].values)}
        scores = scores.drop_vars("best_epoch")
    return scores.assign(notes)


def _member_coordinates(scores: "xarray.Dataset") -> list[str]:
    return [str(name) for name, c in scores.coords.items() if "member" in c.dims]


def _joined_parts(contents: Sequence[Content]) -> tuple[Part, ...]:
    """Return the parts of all; those of one study whose arrays have one structure are stacked."""
    joined: list[Part] = []
    offset = 0
    for content in contents:
        for part in content.parts:
            moved = Part(part.study, part.trained, part.places + offset)
            same = next((i for i, p in enumerate(joined) if _can_be_stacked(p, moved)), None)
            if same is None:
                joined.append(moved)
            else:
                joined[same] = _stacked(joined[same], moved)
        offset += len(content.members)
    return tuple(joined)


def _can_be_stacked(a: Part, b: Part) -> bool:
    """Return whether one study predicts with both; activations differ where shapes do not."""
    return a.study is not None and a.study is b.study and _form(a.trained) == _form(b.trained)


def _stacked(a: Part, b: Part) -> Part:
    trained = jax.tree.map(lambda *arrays: np.concatenate(arrays), a.trained, b.trained)
    return Part(a.study, trained, np.concatenate([a.places, b.places]))


def _form(trained: Any) -> Any:
    leaves, structure = jax.tree.flatten(trained)
    return structure, [(leaf.shape[1:], str(leaf.dtype)) for leaf in leaves]


def _distinct(texts: Any) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))
