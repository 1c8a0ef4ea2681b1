"""The folder of a saved result: scores.nc, members.safetensors and result.json."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn import storage
from jnn.engine import Data, Rows, Trained, make_trainer, member_of
from jnn.result._predict import Part
from jnn.result._schema import Schema, digest_of_shared, schema_of_attributes
from jnn.study import Members, SavedFolds, Split, Study, narrow

if TYPE_CHECKING:
    import xarray

Path = str | pathlib.Path


class Content(NamedTuple):
    """What a folder holds: the fields of a result."""

    scores: "xarray.Dataset"
    schema: Schema
    members: Members
    parts: tuple[Part, ...]
    timing: Mapping[str, float]


def write_result(directory: Path, content: Content) -> pathlib.Path:
    """Write a result to a folder, which is made if it is absent.

    result.json is removed first and written last, so that the files of two results are never read
    as one.
    """
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    with storage.atomic_path(folder / "scores.nc") as partial:
        _write_scores(content.scores, partial)
        for name in ("result.json", "run.json"):
            (folder / name).unlink(missing_ok=True)
    trees = [part.trained._asdict() for part in content.parts]
    tree = trees[0] if len(trees) == 1 else {str(i): tree for i, tree in enumerate(trees)}
    storage.save(folder / "members.safetensors", tree)
    notes = {
        "schema": content.schema.to_json(),
        "timing": dict(content.timing),
        "members": _members_to_json(content.members),
        "parts": [_part_to_json(part) for part in content.parts],
    }
    storage.write_text(folder / "result.json", json.dumps(notes, indent=1))
    return folder


def read_result(directory: Path, studies: Sequence[Study] | None) -> Content:
    """Read a result from its folder.

    Args:
        directory: The folder.
        studies: The study of each part; None to read the arrays without their structure.

    Raises:
        ValueError: If there is no result, or the studies' arrays are not those of the result.
    """
    folder = pathlib.Path(directory)
    scores = read_scores(folder)
    notes = storage.read_json(folder / "result.json")
    members = _members_from_json(notes["members"])
    if "schema" in notes:
        schema = Schema.from_json(notes["schema"])
        descriptions = notes["parts"]
    else:
        schema = schema_of_attributes(scores.attrs)
        hyper = sorted(members.numbers())
        descriptions = [{"places": list(range(len(members))), "hyper": hyper}]
        scores.attrs = {}
    parts = _read_parts(folder / "members.safetensors", descriptions, studies, members, schema)
    return Content(scores, schema, members, parts, notes["timing"])


def read_schema(directory: Path) -> Schema:
    """Read the schema of a saved result alone.

    Raises:
        ValueError: If the folder holds no result.
    """
    folder = pathlib.Path(directory)
    _check_folder(folder)
    notes = storage.read_json(folder / "result.json")
    if "schema" in notes:
        return Schema.from_json(notes["schema"])
    return schema_of_attributes(read_scores(folder).attrs)


def read_scores(directory: Path) -> "xarray.Dataset":
    """Read the scores of a saved result alone, without the members' parameters.

    Raises:
        ValueError: If the folder holds no result, or the file is damaged.
    """
    import xarray

    folder = pathlib.Path(directory)
    _check_folder(folder)
    path = folder / "scores.nc"
    try:
        engine = "scipy" if path.read_bytes()[:3] == b"CDF" else "h5netcdf"
        with xarray.open_dataset(path, engine=engine) as opened:
            scores = opened.load()
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise storage.damaged(path, error) from error
    return _renamed(scores, _unescape_all if engine == "scipy" else _unescape)


def _check_folder(folder: pathlib.Path) -> None:
    if not (folder / "result.json").exists():
        raise ValueError(
            f"{folder} has no result.json, so it holds no result. Pass the folder of a run."
        )


def _read_parts(
    path: pathlib.Path,
    descriptions: Sequence[Mapping[str, Any]],
    studies: Sequence[Study] | None,
    members: Members,
    schema: Schema,
) -> tuple[Part, ...]:
    places = [np.asarray(description["places"], int) for description in descriptions]
    if studies is None:
        return _read_bare_parts(path, places)
    if len(studies) != len(descriptions):
        names = [description.get("study", {}).get("model") for description in descriptions]
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
    return tuple(map(Part, studies, trees, places))


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
    trees = [nested] if len(places) == 1 else [nested[str(i)] for i in range(len(places))]
    trained = [Trained(*(tree.get(name, {}) for name in Trained._fields)) for tree in trees]
    return tuple(Part(None, tree, place) for tree, place in zip(trained, places, strict=True))


def _like(study: Study, hyper: Mapping[str, np.ndarray], schema: Schema) -> Trained:
    """Return the shapes of one trained member of `study` on data of this schema."""
    index = Rows(jax.ShapeDtypeStruct((1, 2), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32))
    y = None if schema.y is None else schema.y.abstract()
    class_weights = None
    if study.class_weights is not None:
        class_weights = jax.ShapeDtypeStruct((1, schema.classes), jnp.float32)
    data = Data(schema.x.abstract(), y, index, shared=study.shared, class_weights=class_weights)
    numbers = {name: value[()] for name, value in narrow(dict(hyper)).items()}
    member = member_of({"seed": np.int32(0), **numbers})
    return jax.eval_shape(make_trainer(study).start, member, data).trained


def _write_scores(scores: "xarray.Dataset", path: pathlib.Path) -> None:
    """Write scores as netCDF 4. A slash, which HDF5 keeps for groups, is %2F in its names."""
    _renamed(scores, _escape).to_netcdf(path, engine="h5netcdf")


def _renamed(scores: "xarray.Dataset", change: Any) -> "xarray.Dataset":
    names = {str(name): change(str(name)) for name in (*scores.variables, *scores.sizes)}
    return scores.rename({old: new for old, new in names.items() if old != new})


def _escape(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _unescape(name: str) -> str:
    return name.replace("%2F", "/").replace("%25", "%")


def _unescape_all(name: str) -> str:
    """Return a name of version 0.1, which percent-encoded all but ASCII letters and digits."""
    from urllib.parse import unquote

    return unquote(name)


def _part_to_json(part: Part) -> dict[str, Any]:
    return {
        "places": part.places.tolist(),
        "hyper": sorted(set(part.trained.hyper)),
        "study": {} if part.study is None else part.study.describe(),
    }


def _members_to_json(members: Members) -> dict[str, Any]:
    axes = {
        axis: {name: column.tolist() for name, column in columns.items()}
        for axis, columns in members.axes.items()
    }
    split = members.split
    if split is None:
        return {"axes": axes, "split": None}
    return {"axes": axes, "split": {"describe": split.description, "count": len(split)}}


def _members_from_json(content: Mapping[str, Any]) -> Members:
    axes = {
        axis: {name: np.asarray(column) for name, column in columns.items()}
        for axis, columns in content["axes"].items()
    }
    split = content["split"]
    if split is None:
        return Members(axes)
    return Members(axes, Split(SavedFolds(split["describe"], split["count"])))
