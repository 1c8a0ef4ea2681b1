"""When a member ends early: after `Study.patience` epochs without a better one."""

from typing import Any

from jnn.study import Study


def has_patience(study: Study, epoch: Any, best_epoch: Any) -> Any:
    """Return whether a member whose best epoch so far is `best_epoch` trains epoch `epoch`.

    Args:
        study: What is trained.
        epoch: Number of the epoch, counted from 0; may be an array, also on the host.
        best_epoch: Number of the best epoch before it; -1 if there was none.
    """
    if study.patience is None:
        return True
    return epoch - best_epoch <= study.patience
