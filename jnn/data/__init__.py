"""Data sets: `load` one by its name, or make a `Dataset` of your own arrays, table, or CSV file."""

from jnn.data._dataset import Dataset
from jnn.data._encoding import Column, Counts, Encoding
from jnn.data._generate import mnist1d, sines, spirals
from jnn.data._ignored import has_labels
from jnn.data._image_encoding import ImageEncoding
from jnn.data._load import Description, data_folder, describe, fetch, load, names
from jnn.data._offsets import check_digits, offset_of, with_offset, without_offset
from jnn.data._series_encoding import SeriesEncoding
from jnn.data._series_source import read_series
from jnn.data._stream import Stream
from jnn.data._table_form import TableForm
from jnn.data._text import BytePairTokenizer, CharTokenizer, Tokenizer, WordTokenizer, pad
from jnn.data._text_encoding import TextEncoding
from jnn.data._tree import (
    as_tree,
    count_rows,
    has_parts,
    is_tree,
    map_parts,
    parts_of,
    same_parts,
    shapes_of_rows,
)
from jnn.data._windows import Windows

__all__ = [
    "BytePairTokenizer",
    "CharTokenizer",
    "Column",
    "Counts",
    "Dataset",
    "Description",
    "Encoding",
    "ImageEncoding",
    "SeriesEncoding",
    "Stream",
    "TableForm",
    "TextEncoding",
    "Tokenizer",
    "Windows",
    "WordTokenizer",
    "as_tree",
    "check_digits",
    "count_rows",
    "data_folder",
    "describe",
    "fetch",
    "has_labels",
    "has_parts",
    "is_tree",
    "load",
    "map_parts",
    "mnist1d",
    "names",
    "offset_of",
    "pad",
    "parts_of",
    "read_series",
    "same_parts",
    "shapes_of_rows",
    "sines",
    "spirals",
    "with_offset",
    "without_offset",
]
