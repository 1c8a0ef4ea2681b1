"""Data sets: `load` one by its name, or make a `Dataset` of your own arrays, table, or CSV file."""

from jnn.data._dataset import Dataset
from jnn.data._encoding import Column, Counts, Encoding
from jnn.data._generate import mnist1d, sines, spirals
from jnn.data._ignored import has_labels
from jnn.data._load import Description, data_folder, describe, fetch, load, names
from jnn.data._offsets import check_digits, offset_of, with_offset, without_offset
from jnn.data._series_encoding import SeriesEncoding
from jnn.data._series_source import read_series
from jnn.data._stream import Stream
from jnn.data._table_form import TableForm
from jnn.data._text import BytePairTokenizer, CharTokenizer, Tokenizer, WordTokenizer, pad
from jnn.data._text_encoding import TextEncoding
from jnn.data._windows import Windows

__all__ = [
    "BytePairTokenizer",
    "CharTokenizer",
    "Column",
    "Counts",
    "Dataset",
    "Description",
    "Encoding",
    "SeriesEncoding",
    "Stream",
    "TableForm",
    "TextEncoding",
    "Tokenizer",
    "Windows",
    "WordTokenizer",
    "check_digits",
    "data_folder",
    "describe",
    "fetch",
    "has_labels",
    "load",
    "mnist1d",
    "names",
    "offset_of",
    "pad",
    "read_series",
    "sines",
    "spirals",
    "with_offset",
    "without_offset",
]
