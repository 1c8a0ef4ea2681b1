"""What comes out of a run: scores, tables, choices and predictions."""

from jnn.result._digest import digest_of, digest_of_rows
from jnn.result._few_shot_plot import few_shot
from jnn.result._files import read_schema, read_scores, read_versions
from jnn.result._grid_plots import film_strip, image_grid
from jnn.result._kept import Kept
from jnn.result._load import load_tree
from jnn.result._plots import forecast, forest, learning_curves, write_figure
from jnn.result._predict import Part, Prediction, check_batch
from jnn.result._result import Result
from jnn.result._rows import encoding_for, prepare_rows
from jnn.result._sample_plots import histogram, player_losses
from jnn.result._schema import RowSpec, Schema, vocabulary_of
from jnn.result._scores import scores_dataset
from jnn.result._search_plots import search_choices, search_curve, search_importance
from jnn.result._selection import Choice, choose, compare
from jnn.result._shared_rows import shared_test_rows
from jnn.result._summary import Row, Summary, make_summary, table_text
from jnn.result._table import EPOCH_NOTES, Setting, metric_of, setting_text, value_text

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
    "check_batch",
    "choose",
    "compare",
    "digest_of",
    "digest_of_rows",
    "encoding_for",
    "few_shot",
    "film_strip",
    "forecast",
    "forest",
    "histogram",
    "image_grid",
    "learning_curves",
    "load_tree",
    "make_summary",
    "metric_of",
    "player_losses",
    "prepare_rows",
    "read_schema",
    "read_scores",
    "read_versions",
    "scores_dataset",
    "search_choices",
    "search_curve",
    "search_importance",
    "setting_text",
    "shared_test_rows",
    "table_text",
    "value_text",
    "vocabulary_of",
    "write_figure",
]
