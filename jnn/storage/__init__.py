"""Files that are whole or absent: trees of arrays, text and JSON."""

from jnn.storage._files import atomic_path, damaged, read_json, write_text
from jnn.storage._tree import load, load_nested, notes, save, to_host

__all__ = [
    "atomic_path",
    "damaged",
    "load",
    "load_nested",
    "notes",
    "read_json",
    "save",
    "to_host",
    "write_text",
]
