"""Records: JSON files that know their form, the version that wrote them, and their digest."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from jnn._version import __version__
from jnn.storage._damage import check_version, damaged
from jnn.storage._files import Path, write_text
from jnn.storage._form import FormError, check_form


def write_record(path: Path, content: Mapping[str, Any], *, sealed: bool = True) -> None:
    """Write an object as JSON, with the version of jnn.

    Args:
        path: The file to write.
        content: What JSON can hold.
        sealed: Whether to add the digest of the content, so that a later change is noticed.
    """
    content = {"jnn": __version__, **content}
    if sealed:
        content["sha256"] = _digest_of(content)
    write_text(path, json.dumps(content, indent=1))


def read_record(path: Path, form: Any) -> dict[str, Any]:
    """Read an object that `write_record`, or a former version, wrote, without version and digest.

    Args:
        path: The file to read.
        form: A TypedDict or a dataclass of the fields.

    Raises:
        ValueError: If the file is damaged, was changed by hand into another form, or is of a newer
            version of jnn.
    """
    content = read_json(path)
    digest = content.pop("sha256", None)
    if digest is not None and digest != _digest_of(content):
        raise damaged(path, "it was changed after jnn had written it")
    written_by = content.pop("jnn", None)
    try:
        check_form(content, form)
    except FormError as error:
        check_version(path, written_by)
        raise damaged(path, error) from error
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, "it must hold an object")
    return content


def _digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an object in the one form that JSON gives it when it is read back."""
    same = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
