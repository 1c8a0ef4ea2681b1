"""The folder of a saved result: scores.nc, members.safetensors and result.json."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn import storage
from jnn.data import map_parts
from jnn.engine import Data, Rows, Trained, make_trainer, member_of, network_digest
from jnn.result import _kept
from jnn.result._digest import digest_of_shared
from jnn.result._kept import Kept
from jnn.result._netcdf import read_netcdf, write_netcdf
from jnn.result._predict import Part
from jnn.result._record import (
    PartRecord,
    ResultRecord,
    check_places,
    members_from_json,
    members_to_json,
    versions,
)
from jnn.result._schema import RowSpec, Schema, schema_of_attributes
from jnn.study import Members, PathLike, Study, narrow

if TYPE_CHECKING:
    import xarray


RECORD = "result.json"
SCORES = "scores.nc"
MEMBERS = "members.safetensors"


class Content(NamedTuple):
    """What a folder holds: the fields of a result."""

    scores: "xarray.Dataset"
    schema: Schema
    members: Members
    parts: tuple[Part, ...]
    timing: Mapping[str, float]


def write_result(directory: PathLike, content: Content) -> pathlib.Path:
    """Write a result to a folder, which is made if it is absent.

    result.json is removed first and written last, and has the digests of the other files, so that
    the files of two results are never read as one.

    Raises:
        OSError: If a file cannot be written, for instance on a full disk.
    """
    folder = storage.as_folder(directory)
    folder.mkdir(parents=True, exist_ok=True)
    with storage.atomic_path(folder / SCORES) as partial:
        write_netcdf(content.scores, partial)
        scores_digest = storage.digest_of_file(partial)
        for name in (RECORD, "run.json"):
            (folder / name).unlink(missing_ok=True)
    trees = [part.trained._asdict() for part in content.parts]
    tree = trees[0] if len(trees) == 1 else {str(i): tree for i, tree in enumerate(trees)}
    digests = {SCORES: scores_digest, MEMBERS: storage.save(folder / MEMBERS, tree)}
    kept = content.parts[0].kept if len(content.parts) == 1 else None
    if kept is not None:
        digests[_kept.FILE] = kept.save(folder / _kept.FILE)
    record: ResultRecord = {
        "schema": content.schema.to_json(),
        "timing": dict(content.timing),
        "members": members_to_json(content.members),
        "parts": [_part_to_json(part, content.schema) for part in content.parts],
        "versions": versions(),
        "digests": digests,
    }
    storage.write_record(folder / RECORD, record)
    if kept is None:
        (folder / _kept.FILE).unlink(missing_ok=True)
    return folder


def read_result(directory: PathLike, studies: Sequence[Study] | None) -> Content:
    """Read a result from its folder.

    Args:
        directory: The folder.
        studies: The study of each part; None to read the arrays without their structure.

    Raises:
        ValueError: If there is no result, if a file of it is damaged or was changed, or if the
            studies' arrays or networks are not those of the result.
    """
    folder = storage.expand(directory)
    record = read_result_record(folder)
    scores = read_scores(folder)
    path = folder / RECORD
    with storage.with_remedy(remedy_of(folder)):
        try:
            members = members_from_json(record["members"])
            schema = _schema_of(record, scores)
            parts = _part_records(record, members)
            check_places(parts, len(members))
        except storage.FormError as error:
            raise storage.damaged(path, error) from error
        _check_scores(path, members, scores)
        members_path = folder / MEMBERS
        digest = record.get("digests", {}).get(MEMBERS)
        if digest is not None and digest != storage.digest_of_tree(members_path):
            raise storage.damaged(members_path, f"it is not the file that {RECORD} was written for")
        if "schema" not in record:
            scores.attrs = {}
        is_comparable = record.get("versions") == versions()
        trained = _read_parts(members_path, parts, studies, members, schema, is_comparable)
        if digest := record.get("digests", {}).get(_kept.FILE):
            (part,) = trained
            kept = _read_kept(folder / _kept.FILE, digest, len(members))
            trained = (dataclasses.replace(part, kept=kept),)
    return Content(scores, schema, members, trained, record["timing"])


def _read_kept(path: pathlib.Path, digest: str, count: int) -> Kept:
    """Return the state of a training in a file, whose arrays are read when they are needed."""
    if digest != storage.digest_of_tree(path):
        raise storage.damaged(path, f"it is not the file that {RECORD} was written for")
    return Kept(path, np.arange(count), int(storage.notes(path)["epochs"]))


def read_result_record(directory: PathLike) -> ResultRecord:
    """Read result.json alone.

    Raises:
        ValueError: If the folder holds no result, or the file is damaged or was changed.
    """
    folder = storage.expand(directory)
    _check_folder(folder)
    with storage.with_remedy(remedy_of(folder)):
        return storage.read_record(folder / RECORD, ResultRecord)  # type: ignore[return-value]


def read_versions(directory: PathLike) -> dict[str, str]:
    """Return the versions of jnn, JAX, Flax and Optax that made a result; empty before 0.3."""
    return dict(read_result_record(directory).get("versions", {}))


def read_schema(directory: PathLike) -> Schema:
    """Read the schema of a saved result alone.

    Raises:
        ValueError: If the folder holds no result, or a file of it is damaged or was changed.
    """
    folder = storage.expand(directory)
    record = read_result_record(folder)
    scores = None if "schema" in record else read_scores(folder)
    with storage.with_remedy(remedy_of(folder)):
        try:
            return _schema_of(record, scores)
        except storage.FormError as error:
            raise storage.damaged(folder / RECORD, error) from error


def read_scores(directory: PathLike) -> "xarray.Dataset":
    """Read the scores of a saved result alone, without the members' parameters.

    Raises:
        ValueError: If the folder holds no result, or the file is damaged or was changed.
    """
    folder = storage.expand(directory).absolute()
    path = folder / SCORES
    digest = read_result_record(folder).get("digests", {}).get(SCORES)
    with storage.with_remedy(remedy_of(folder)):
        try:
            is_changed = digest is not None and digest != storage.digest_of_file(path)
        except OSError as error:
            raise storage.damaged(path, error) from error
        if is_changed:
            raise storage.damaged(path, f"it is not the file that {RECORD} was written for")
        return read_netcdf(path)


def remedy_of(folder: pathlib.Path) -> str:
    """Return what helps where a file of a result is damaged."""
    again = "call the same jnn.run again"
    if (folder / "command.json").exists():
        again = f"call `jnn resume {folder}`"
    return f"Take a copy of the folder, or delete {folder / RECORD} and {again} to train anew."


def _schema_of(record: ResultRecord, scores: "xarray.Dataset | None") -> Schema:
    """Return the schema of a result; version 0.1 kept it beside the scores."""
    if "schema" in record:
        return Schema.from_json(record["schema"])
    assert scores is not None
    try:
        return schema_of_attributes(scores.attrs)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise storage.FormError(f"the attributes of {SCORES} have no schema") from error


def _part_records(record: ResultRecord, members: Members) -> Sequence[PartRecord]:
    if "schema" in record and "parts" in record:
        return record["parts"]
    hyper = sorted(members.numbers())
    return [{"places": list(range(len(members))), "hyper": hyper, "study": {}}]


def _check_scores(path: pathlib.Path, members: Members, scores: "xarray.Dataset") -> None:
    """Check that the scores are those of as many members, with the same numbers."""
    for axis, columns in members.axes.items():
        length = len(next(iter(columns.values())))
        if scores.sizes.get(axis, length) != length:
            raise storage.damaged(
                path, f"it has {length} entries of {axis}, but {SCORES} has {scores.sizes[axis]}"
            )
        for name, column in columns.items():
            if name not in scores.coords or scores[name].dims != (axis,):
                continue
            if not _equal(column, scores[name].values):
                raise storage.damaged(path, f"its {name} are others than those in {SCORES}")


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "iuf" or b.dtype.kind not in "iuf":
        return bool((a.astype(str) == b.astype(str)).all())
    return bool(np.allclose(a, b, rtol=1e-6, atol=0, equal_nan=True))


def _check_folder(folder: pathlib.Path) -> None:
    if not (folder / RECORD).exists():
        raise ValueError(
            f"{folder} has no result.json, so it holds no result. Pass the folder of a run."
        )


def _read_parts(
    path: pathlib.Path,
    descriptions: Sequence[PartRecord],
    studies: Sequence[Study] | None,
    members: Members,
    schema: Schema,
    is_comparable: bool,
) -> tuple[Part, ...]:
    """Read the trained members of each part.

    Args:
        path: The file of their arrays.
        descriptions: What result.json says of the parts.
        studies: As in `read_result`.
        members: All members.
        schema: The schema of the result.
        is_comparable: Whether this jnn traces a network as the one that wrote the file did.
    """
    places = [np.asarray(description["places"], int) for description in descriptions]
    if studies is None:
        return _read_bare_parts(path, places)
    if len(studies) != len(descriptions):
        names = [description["study"].get("model") for description in descriptions]
        raise ValueError(
            f"The result has members of {len(descriptions)} studies, got {len(studies)}. "
            f"Pass one study for each of the models {names}."
        )
    _check_shared(studies, schema)
    columns = members.columns()
    likes = []
    for study, description, place in zip(studies, descriptions, places, strict=True):
        names = [name for name in description["hyper"] if name in columns]  # others: Study.hyper
        hyper = {name: columns[name][place[0]] for name in names}
        likes.append(_like(study, hyper, schema))
    if len(likes) == 1:
        trees = [storage.load(path, likes[0], members=True)]
    else:
        named = storage.load(path, {str(i): like for i, like in enumerate(likes)}, members=True)
        trees = [named[str(i)] for i in range(len(likes))]
    _check_counts(path, trees, places)
    if is_comparable:
        _check_networks(studies, likes, descriptions, schema)
    return tuple(map(Part, studies, trees, places))


def _check_counts(path: pathlib.Path, trees: Sequence[Any], places: Sequence[np.ndarray]) -> None:
    """Check that the arrays are those of as many members as result.json tells."""
    for tree, place in zip(trees, places, strict=True):
        lengths = {len(leaf) for leaf in jax.tree.leaves(tree)}
        if lengths - {len(place)}:
            raise storage.damaged(path, f"it has {max(lengths)} members instead of {len(place)}")


def _check_networks(
    studies: Sequence[Study],
    likes: Sequence[Trained],
    descriptions: Sequence[PartRecord],
    schema: Schema,
) -> None:
    """Check that the networks of the studies compute what those of the result did."""
    for study, like, description in zip(studies, likes, descriptions, strict=True):
        saved = description.get("network", "")
        if saved and _network_digest(study, like, schema, saved) not in (saved, ""):
            name = description["study"].get("model", "")
            raise ValueError(
                f"The network of the study, {study.model.name}, must compute what the network "
                f"{name} of the result does, but it has arrays of the same shapes and is another. "
                "Pass the study that the result was made by."
            )


def _network_digest(study: Study, trained: Any, schema: Schema, other: str = "") -> str:
    row = jax.tree.map(
        lambda row: jax.ShapeDtypeStruct(row.shape, row.dtype),
        schema.x,
        is_leaf=lambda row: hasattr(row, "dtype"),
    )
    return network_digest(study, trained, row, other)


def _check_shared(studies: Sequence[Study], schema: Schema) -> None:
    """Check that the studies share the arrays that the result was made with."""
    if not schema.shared_digest:
        return
    for study in studies:
        if digest_of_shared(study.shared) != schema.shared_digest:
            raise ValueError(
                "Study.shared must hold the arrays that the result was made with, got others. "
                "Pass the study with the same shared arrays."
            )


def _read_bare_parts(path: pathlib.Path, places: Sequence[np.ndarray]) -> tuple[Part, ...]:
    """Read the arrays as nested dicts, without a study."""
    nested = storage.load_nested(path)
    names = {str(i) for i in range(len(places))}
    if len(places) > 1 and nested.keys() != names:
        raise storage.damaged(path, f"it must hold {len(places)} parts")
    trees = [nested] if len(places) == 1 else [nested[str(i)] for i in range(len(places))]
    _check_counts(path, trees, places)
    trained = [Trained(*(tree.get(name, {}) for name in Trained._fields)) for tree in trees]
    return tuple(Part(None, tree, place) for tree, place in zip(trained, places, strict=True))


def _like(study: Study, hyper: Mapping[str, np.ndarray], schema: Schema) -> Trained:
    """Return the shapes of one trained member of `study` on data of this schema."""
    index = Rows(jax.ShapeDtypeStruct((1, 2), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32))
    x = map_parts(RowSpec.abstract, schema.x)
    y = None if schema.y is None else map_parts(RowSpec.abstract, schema.y)
    class_weights = None
    if study.class_weights is not None:
        class_weights = jax.ShapeDtypeStruct((1, schema.classes), jnp.float32)
    data = Data(x, y, index, shared=study.shared, class_weights=class_weights)
    numbers = {name: value[()] for name, value in narrow(dict(hyper)).items()}
    member = member_of({"seed": np.int32(0), **numbers})
    return jax.eval_shape(make_trainer(study).start, member, data).trained


def _part_to_json(part: Part, schema: Schema) -> PartRecord:
    record: PartRecord = {
        "places": part.places.tolist(),
        "hyper": sorted(set(part.trained.hyper)),
        "study": {} if part.study is None else part.study.describe(),
    }
    if part.study is not None:
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), part.trained)
        record["network"] = _network_digest(part.study, one, schema)
    return record
