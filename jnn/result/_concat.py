"""Results that add up: rounds of a search, groups of one shape, parts of several workers."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jnn.result._files import Content
from jnn.result._predict import Part
from jnn.result._schema import Schema
from jnn.result._table import BY_EPOCH, EPOCH_NOTES, is_text
from jnn.study import Members

if TYPE_CHECKING:
    import xarray

_RESERVED = {"seed", "fold", "sample", "member", "epoch", "all_members", *EPOCH_NOTES}
# Attributes of the schema that say what the data is.
_MUST_AGREE = (
    "data",
    "task",
    "x",
    "y",
    "classes",
    "vocabulary",
    "encoding",
    "feature_names",
    "target_offset",
)
Columns = dict[str, np.ndarray]


def concatenate(
    contents: Sequence[Content], settings: Mapping[str, Sequence[float | str]]
) -> Content:
    """Join the members of several results; see `jnn.Result.concat`."""
    _check_settings(settings, contents)
    schema = _joined_schema([content.schema for content in contents])
    _check_scores([content.scores for content in contents])
    members = _joined_members(contents, settings)
    scores = _joined_scores([content.scores for content in contents], members)
    timing: collections.Counter[str] = collections.Counter()
    for content in contents:
        timing.update(content.timing)
    return Content(scores, schema, members, _joined_parts(contents), dict(timing))


def _check_settings(
    settings: Mapping[str, Sequence[float | str]], contents: Sequence[Content]
) -> None:
    """Check that each setting has a free name, and one value for each result."""
    for name, values in settings.items():
        _check_setting_values(name, values, len(contents))
        _check_setting_name(name, contents)


def _check_setting_values(name: str, values: Sequence[float | str], count: int) -> None:
    if not isinstance(values, Sequence) and np.ndim(values) != 1:
        raise TypeError(
            f"{name} must be a list of one value for each of the {count} results, got {values!r}. "
            f"Pass a list of {count}."
        )
    if isinstance(values, str) or len(values) != count:
        raise ValueError(
            f"{name} must hold one value for each of the {count} results, got {values!r}. Pass a "
            f"list of {count}."
        )
    is_plain = all(isinstance(value, Real | np.bool_ | str | bytes) for value in values)
    if not is_plain or np.asarray(values).dtype.kind not in "USiufb":
        raise TypeError(
            f"{name} must hold numbers or texts, got {values!r}. Describe each value by a text."
        )
    if not isinstance(values[0], str) and any(isinstance(value, str) for value in values):
        raise TypeError(
            f"{name} must hold only numbers or only texts, got {values!r}. Write the numbers as "
            "texts."
        )


def _check_setting_name(name: str, contents: Sequence[Content]) -> None:
    has_column = any(name in content.members.columns() for content in contents)
    is_score = any(name in (*c.scores.variables, *c.scores.dims) for c in contents)
    # A method of Mapping, such as `keys`, would hide a setting of its name, which is read as
    # `h.keys`.
    is_method = hasattr(Mapping, name)
    is_reserved = name in _RESERVED or name.endswith(("_index", BY_EPOCH))
    if has_column or is_score or is_reserved or is_method:
        raise ValueError(
            f"{name!r} cannot be added as a setting, because it has a meaning already. "
            "Choose another name."
        )


def _joined_schema(schemas: Sequence[Schema]) -> Schema:
    """Return the schema of all; refuse results of different rows, which cannot be compared."""
    first = schemas[0]
    for other in schemas[1:]:
        differing = [name for name in _MUST_AGREE if getattr(first, name) != getattr(other, name)]
        if differing:
            raise ValueError(
                f"Results can be joined only if they are of the same data, got {first.data!r} and "
                f"{other.data!r}, which differ in {', '.join(differing)}. Compare their summaries "
                "side by side."
            )
        is_known = bool(first.digest and other.digest)
        if first.split != other.split or (is_known and first.digest != other.digest):
            raise ValueError(
                "Results can be joined only if their members were scored on the same rows, got "
                f"{first.split or 'no folds'!r} and {other.split or 'no folds'!r} of "
                f"{first.data!r} with different rows. Train them on the same data and folds."
            )
        if set(first.higher_is_better) != set(other.higher_is_better):
            raise ValueError(
                "Results can be joined only if higher values of the same scores are better, got "
                f"{sorted(first.higher_is_better)} and {sorted(other.higher_is_better)}. Train "
                "them with the same metrics."
            )
    shared_digests = {schema.shared_digest for schema in schemas}
    return dataclasses.replace(
        first,
        shared_digest=first.shared_digest if len(shared_digests) == 1 else "",
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
            table[name] if name in table else _missing_column(name, tables, content)
            for table, content in zip(tables, contents, strict=True)
        ]
        columns[name] = _joined_column(name, pieces)
    for name, values in settings.items():
        columns[name] = np.repeat(np.asarray(values), counts)
    split = next((c.members.split for c in contents if c.members.split is not None), None)
    members = Members({"member": {"member": np.arange(sum(counts)), **columns}}, split)
    # `+` numbers distinct arrays anew: each result has counted its own from 0 on.
    members = members[:0] + members
    _check_distinct(members.columns(), counts)
    return members


def _columns(content: Content) -> Columns:
    """Return the columns of a result's members; those that only count are left out."""
    columns = content.members.columns()
    counting = {"member", "sample"}
    counting |= {f"{name}_index" for name, column in columns.items() if column.ndim > 1}
    return {name: column for name, column in columns.items() if name not in counting}


def _missing_column(name: str, tables: Sequence[Columns], content: Content) -> np.ndarray:
    """Return a column for members that lack it: the number in their study, or else NaN."""
    example = next(table[name] for table in tables if name in table)
    is_number_of_study = (
        name not in ("seed", "fold")
        and example.ndim == 1
        and not name.endswith("_index")
        and not is_text(example)
    )
    if not is_number_of_study:
        raise ValueError(
            f"Results can be joined only if all members have {name!r}, which some lack. "
            f"Make all of them with {name!r}, or join only those that have it."
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
            f"{name!r} must be of one shape, and text or numbers, in all results, got shapes "
            f"{shapes}. Give the settings different names."
        )
    return np.concatenate(pieces)


def _check_distinct(columns: Columns, counts: Sequence[int]) -> None:
    """Check that no member of a result comes again in another: it would count as a new seed.

    Within one result several members may share seed and settings, as after
    `jnn.Population.gather`.
    """
    names = [name for name, column in columns.items() if column.ndim == 1 and name != "member"]
    owners = np.repeat(np.arange(len(counts)), counts).tolist()
    if names:
        texts = [map(str, columns[name].tolist()) for name in names]
        members = list(zip(*texts, strict=True))
    else:
        members = [()] * len(owners)  # nothing tells them apart
    results_of: dict[tuple, set[int]] = {}
    for member, owner in zip(members, owners, strict=True):
        results_of.setdefault(member, set()).add(owner)
    repeated = [member for member, results in results_of.items() if len(results) > 1]
    if repeated:
        labels = [f"{name}={value}" for name, value in zip(names, repeated[0], strict=True)]
        raise ValueError(
            "Results can be joined only if no member comes twice, got the member with "
            f"{', '.join(labels) or 'no setting'} more than once. Name what differs, e.g. "
            "Result.concat([a, b], architecture=['mlp', 'cnn'])."
        )


def _check_scores(parts: Sequence["xarray.Dataset"]) -> None:
    """Check that all results have the same scores, of the same shapes."""
    names = [set(map(str, scores.data_vars)) - set(EPOCH_NOTES) for scores in parts]
    missing = sorted(set.union(*names) - set.intersection(*names))
    if missing:
        raise ValueError(
            f"Results can be joined only if they have the same scores, got {missing} in only some "
            "of them. Train them with the same metrics, validation and test rows."
        )
    for axis in {str(d) for scores in parts for d in scores.dims} - {"member", "epoch"}:
        lengths = [scores.sizes[axis] for scores in parts]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"Results can be joined only if {axis} has one length in all of them, got "
                f"{lengths}. Train them with the same metrics."
            )


def _joined_scores(parts: Sequence["xarray.Dataset"], members: Members) -> "xarray.Dataset":
    """Return the scores on one axis `member`; NaN after the last epoch of each member."""
    import xarray

    differ_in_epochs = len({scores.sizes["epoch"] for scores in parts}) > 1
    have_notes = any(note in scores for scores in parts for note in EPOCH_NOTES)
    if differ_in_epochs or have_notes:
        parts = [_with_kept_epoch(scores) for scores in parts]
    dropped = [_member_coordinates(scores) - _common_histories(parts) for scores in parts]
    joined = xarray.concat(
        [scores.drop_vars(names) for scores, names in zip(parts, dropped, strict=True)],
        dim="member",
        join="outer",
        data_vars="all",
        coords="minimal",
        compat="override",
        combine_attrs="drop",
    )
    columns = {k: ("member", v) for k, v in members.columns().items() if v.ndim == 1}
    joined = joined.assign_coords(columns)
    # As in every result, the axis of epochs is followed only by the axes of a score's value.
    return joined.transpose("member", "epoch", ...)


def _with_kept_epoch(scores: "xarray.Dataset") -> "xarray.Dataset":
    """Note for each member the epoch whose parameters it ended with: the best or the last one."""
    note = next((note for note in EPOCH_NOTES if note in scores), None)
    if note is None:
        epochs = np.full(scores.sizes["member"], scores.sizes["epoch"])
    else:
        epochs = scores[note].values
    others = [note for note in EPOCH_NOTES if note in scores]
    return scores.drop_vars(others).assign(kept_epoch=("member", epochs))


def _member_coordinates(scores: "xarray.Dataset") -> set[str]:
    return {str(name) for name, c in scores.coords.items() if "member" in c.dims}


def _common_histories(parts: Sequence["xarray.Dataset"]) -> set[str]:
    """Return the coordinates `<name>_by_epoch` that all results have."""
    common = set.intersection(*map(_member_coordinates, parts))
    return {name for name in common if name.endswith(BY_EPOCH)}


def _joined_parts(contents: Sequence[Content]) -> tuple[Part, ...]:
    """Return the parts of all; those of one study whose arrays have one structure are stacked."""
    joined: list[Part] = []
    offset = 0
    for content in contents:
        for part in content.parts:
            moved = Part(part.study, part.trained, part.places + offset)
            place = next((i for i, p in enumerate(joined) if _can_be_stacked(p, moved)), None)
            if place is None:
                joined.append(moved)
            else:
                joined[place] = _stacked(joined[place], moved)
        offset += len(content.members)
    return tuple(joined)


def _can_be_stacked(a: Part, b: Part) -> bool:
    """Return whether one study trained both, into arrays of one structure.

    Arrays alone do not decide it, because studies of the same shapes may differ in activations.
    """
    return a.study is not None and a.study is b.study and _form(a.trained) == _form(b.trained)


def _stacked(a: Part, b: Part) -> Part:
    trained = jax.tree.map(lambda *arrays: np.concatenate(arrays), a.trained, b.trained)
    return Part(a.study, trained, np.concatenate([a.places, b.places]))


def _form(trained: Any) -> Any:
    leaves, structure = jax.tree.flatten(trained)
    return structure, [(leaf.shape[1:], str(leaf.dtype)) for leaf in leaves]


def _distinct(texts: Any) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))
