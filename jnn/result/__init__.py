"""What comes out of a run: scores, tables, choices and predictions."""

from jnn.result._predict import Prediction as Prediction
from jnn.result._predict import check_batch as check_batch
from jnn.result._result import Result as Result
from jnn.result._result import scores_dataset as scores_dataset
from jnn.result._schema import checked_rows as checked_rows
from jnn.result._schema import describe as describe
from jnn.result._schema import encoding_of as encoding_of
from jnn.result._schema import is_windowed as is_windowed
from jnn.result._schema import reads_texts as reads_texts
from jnn.result._schema import row_of as row_of
from jnn.result._schema import vocabulary_of as vocabulary_of
from jnn.result._summary import make_summary as make_summary
from jnn.result._table import is_number as is_number
from jnn.result._table import metric_of as metric_of
from jnn.result._table import read_scores as read_scores
from jnn.result._table import shared_test_rows as shared_test_rows
