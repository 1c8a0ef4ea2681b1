"""What comes out of a run: scores, tables, choices and predictions."""

from jnn.result._by_layer import activations, gradients
from jnn.result._digest import digest_of, digest_of_rows
from jnn.result._files import read_schema, read_scores, read_versions
from jnn.result._kept import Kept
from jnn.result._load import load_tree
from jnn.result._plots import draw_curves as draw_curves  # for jnn.plots
from jnn.result._plots import forest, learning_curves
from jnn.result._predict import Part, Prediction, check_batch
from jnn.result._result import Result
from jnn.result._rows import encoding_for, prepare_rows
from jnn.result._schema import RowSpec, Schema, vocabulary_of
from jnn.result._scores import scores_dataset
from jnn.result._selection import Choice, choose, compare
from jnn.result._shared_rows import shared_test_rows
from jnn.result._summary import Row, Summary, make_summary, table_text
from jnn.result._table import EPOCH_NOTES, Setting, metric_of, setting_text, value_text
from jnn.result._table import by_setting as by_setting  # for jnn.plots

__all__ = [
    "EPOCH_NOTES",
    "Choice",
    "Kept",
    "Part",
    "Prediction",
    "Result",
    "Row",
    "RowSpec",
    "Schema",
    "Setting",
    "Summary",
    "activations",
    "check_batch",
    "choose",
    "compare",
    "digest_of",
    "digest_of_rows",
    "encoding_for",
    "forest",
    "gradients",
    "learning_curves",
    "load_tree",
    "make_summary",
    "metric_of",
    "prepare_rows",
    "read_schema",
    "read_scores",
    "read_versions",
    "scores_dataset",
    "setting_text",
    "shared_test_rows",
    "table_text",
    "value_text",
    "vocabulary_of",
]
