"""Files that are whole or absent, and are what was written: trees of arrays, text and JSON."""

from jnn._names import escape, unescape
from jnn.storage._damage import DamagedFileError, check_version, damaged, with_remedy
from jnn.storage._files import (
    as_folder,
    atomic_path,
    digest_of_file,
    expand,
    remove_partial_files,
    write_text,
)
from jnn.storage._form import FormError, check_form
from jnn.storage._record import read_json, read_record, write_record
from jnn.storage._tree import (
    add_to_hash,
    digest_of_tree,
    load,
    load_nested,
    notes,
    save,
    to_host,
)

__all__ = [
    "DamagedFileError",
    "FormError",
    "add_to_hash",
    "as_folder",
    "atomic_path",
    "check_form",
    "check_version",
    "damaged",
    "digest_of_file",
    "digest_of_tree",
    "escape",
    "expand",
    "load",
    "load_nested",
    "notes",
    "read_json",
    "read_record",
    "remove_partial_files",
    "save",
    "to_host",
    "unescape",
    "with_remedy",
    "write_record",
    "write_text",
]
