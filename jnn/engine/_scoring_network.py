"""The network of a study as it scores and predicts, with one trace for all who read it."""

import weakref
from typing import Any

from jnn.engine._hyper import HyperParameters
from jnn.engine._state import Tree, row_count
from jnn.engine._traced import Traced
from jnn.study import Study


class ScoringNetwork:
    """A network that does not train and draws nothing.

    Attributes:
        traced: `traced(params, model_state, x, hyper, shared) -> (outputs, model_state)`, with x as
            preprocessed.
        rows: The numbers of rows of the batches that it was called with, the first one first.
    """

    def __init__(self, study: Study) -> None:
        model = study.model

        def apply(params: Tree, model_state: Tree, x: Tree, hyper: Any, shared: Tree) -> Any:
            options = {"key": None, "train": False, "hyper": HyperParameters(hyper)}
            if shared is not None:
                options["shared"] = shared
            return model.apply(params, model_state, x, **options)

        self.traced = Traced(apply)
        self.rows: list[int] = []

    def __call__(
        self, params: Tree, model_state: Tree, x: Tree, hyper: Any, shared: Tree
    ) -> tuple[Tree, Tree]:
        answer = self.traced(params, model_state, x, dict(hyper), shared)
        self.rows.append(row_count(x))
        return answer


_NETWORKS: "weakref.WeakKeyDictionary[Study, ScoringNetwork]" = weakref.WeakKeyDictionary()


def scoring_network(study: Study) -> ScoringNetwork:
    """Return the network of a study. It is dropped together with the study."""
    if study not in _NETWORKS:
        _NETWORKS[study] = ScoringNetwork(study)
    return _NETWORKS[study]
