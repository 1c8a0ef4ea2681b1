"""Which folds share test rows, on which the intervals of repeated folds depend."""

from typing import Any

import numpy as np

from jnn.engine import Rows


def shared_test_rows(rows: Rows | None) -> tuple[tuple[bool, ...], ...]:
    """Return which folds share test rows, [folds, folds]; empty where no two folds do.

    Args:
        rows: The test rows of every fold; None without held-out rows.
    """
    from scipy.sparse import csr_array

    if rows is None or len(rows.count) == 1:
        return ()
    folds, most = rows.index.shape
    places = (np.repeat(np.arange(folds), most), np.asarray(rows.index).ravel())
    tests = csr_array((np.ones(folds * most), places))
    shares = (tests @ tests.T).toarray() > 0
    if shares.sum() == folds:
        return ()
    return tuple(map(tuple, shares.tolist()))


def shared_from_text(rows: Any) -> tuple[tuple[bool, ...], ...]:
    """Return the table that is written as one text of 0 and 1 for each fold."""
    return tuple(tuple(share == "1" for share in row) for row in rows)
