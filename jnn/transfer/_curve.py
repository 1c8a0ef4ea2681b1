"""`FewShot`: scores against the number of labels, and the heads that have them."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jnn.data import Dataset
from jnn.engine import Data, rows_of
from jnn.plots import few_shot
from jnn.result import (
    Part,
    Prediction,
    Result,
    Schema,
    Setting,
    digest_of,
    digest_of_rows,
    metric_of,
    shared_test_rows,
    table_text,
    value_text,
)
from jnn.study import Members
from jnn.transfer._features import features_of_rows
from jnn.transfer._labels import Draws
from jnn.transfer._trunk import Trunk

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_OF_ROWS = ("x", "vocabulary", "encoding", "feature_names", "data")  # of a schema


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FewShot:
    """What `jnn.transfer.run` returns: scores against the number of labels.

    Means are over seeds and folds. The scores of different splits depend on each other, because
    they share test rows and rows to draw from, so that the intervals are those of
    `jnn.stats.seed_fold_interval`, which for folds alone is Nadeau and Bengio's
    (`jnn.stats.corrected_interval`), with the rows that labels are drawn from as training rows.

    Attributes:
        result: The heads of all representations as one result, with the settings `representation`
            and `labels`. Its scores can be selected, summarized and compared like any other's.
        results: The result of each representation by name, whose rows are features.
        trunks: What turns rows into features, by name.
        draws: The rows of each member: `draws.rows(place)` for the one at this place of the result
            of a representation, the same in all of them.
    """

    result: Result
    results: Mapping[str, Result]
    trunks: Mapping[str, Trunk]
    draws: Draws

    @property
    def table(self) -> "pandas.DataFrame":
        """One line for each representation, number of labels, other setting and metric.

        The columns are `representation`, `labels`, those of the members' settings, and `metric`,
        `mean`, `low`, `high`, `n`, `method`, `confidence` and `diverged`.
        """
        table: Any = self.result.summary().to_dataframe()
        first = ["representation", "labels"]
        table = table[first + [name for name in table if name not in first]]
        return table.astype({"labels": int})

    def difference(self, a: str, b: str, metric: str | None = None) -> "pandas.DataFrame":
        """Return how much representation `a` scores above `b`, for each number of labels.

        Both were trained on the same labeled rows and scored on the same test rows, so that the
        differences are paired by seed and fold; see `jnn.stats.paired_comparison`.

        Args:
            a: Name of a representation.
            b: Name of another one.
            metric: Score to compare; by default the first on held-out rows.

        Returns:
            The columns `labels`, those of the members' settings, `difference`, `low`, `high`,
            `p_value`, `n` and `method`.

        Raises:
            ValueError: If there is no such representation or metric.
        """
        import pandas

        for name in (a, b):
            if name not in self.results:
                raise ValueError(
                    f"There is no representation {name!r}. Name two of {list(self.results)}."
                )
        lines = []
        for setting in self._settings():
            first, second = ({**setting, "representation": name} for name in (a, b))
            comparison = self.result.compare(first, second, metric)
            mean, low, high, n, method, _ = comparison.difference
            line = {"difference": mean, "low": low, "high": high, "p_value": comparison.p_value}
            lines.append({**setting, **line, "n": n, "method": method})
        return pandas.DataFrame(lines).astype({"labels": int})

    def predict(self, rows: Any, representation: str | None = None, **setting: float) -> Prediction:
        """Return the predictions of the heads of one setting for rows: the trunk, then the heads.

            few.predict(texts, "tf-idf", labels=1024).mean

        Args:
            rows: What the trunk reads: texts or x.
            representation: Name of the representation; may be left out if there is only one.
            **setting: `labels`, and `seed`, `fold` and others as in `Result.select`; of several
                heads the prediction is their mean, with each head's own.

        Raises:
            ValueError: If there are no such heads, or several representations and none is named.
        """
        if representation is None and len(self.results) == 1:
            (representation,) = self.results
        if representation is None:
            raise ValueError(f"There are several representations. Name one of {[*self.results]}.")
        if representation not in self.results:
            raise ValueError(
                f"There is no representation {representation!r}. Name one of {list(self.results)}."
            )
        heads = self.results[representation].select(**setting)
        if heads.study is not None and heads.study.augment is not None:  # the trunk is inside
            return heads.predict(rows)
        return heads.predict(features_of_rows(self.trunks[representation], rows, representation))

    def plot(self, metric: str | None = None) -> "Figure":
        """Draw the score against the number of labels; see `jnn.plots.few_shot`.

        Args:
            metric: The score to draw; by default the first on held-out rows.

        Raises:
            ValueError: If there is no such metric.
        """
        table = self.table
        known = table["metric"].unique().tolist()
        if metric is not None and metric not in known:
            raise ValueError(f"metric must be one of the metrics {known}, got {metric!r}.")
        return few_shot(table, metric_of(self.result.final(), metric))

    def _settings(self) -> list[Setting]:
        """Return the settings of the members without their representation."""
        settings = [dict(row.setting) for row in self.result.summary().rows]
        name = next(iter(self.results))
        return [
            {k: v for k, v in setting.items() if k != "representation"}
            for setting in settings
            if setting["representation"] == name
        ]

    def __str__(self) -> str:
        summary = self.result.summary()
        metric = metric_of(self.result.final(), None)
        cells = {}
        for row in summary.rows:
            setting = dict(row.setting)
            name = setting.pop("representation")
            key = tuple((k, value_text(v)) for k, v in setting.items())
            cells.setdefault(key, {})[name] = row.intervals[metric].short()
        names = list(self.results)
        keys = list(cells)
        header = [*(name for name, _ in keys[0]), *names]
        lines = [[*(text for _, text in k), *(cells[k].get(n, "-") for n in names)] for k in keys]
        table = table_text(header, lines, len(keys[0]), 120)
        return f"{metric}: {summary.title}\n{table}{summary.caption}"

    __repr__ = __str__


def as_few_shot(
    results: Mapping[str, Result], trunks: Mapping[str, Trunk], data: Dataset, draws: Draws
) -> FewShot:
    """Return results, each alone and all joined.

    Args:
        results: The result of each representation.
        trunks: What turns rows into features, by name.
        data: The rows of the trunks.
        draws: The rows of each member.
    """
    rows = Schema.of_data(data, data)
    fields = {name: getattr(rows, name) for name in _OF_ROWS}
    joined = Result.concat(
        [_of_rows(result, fields) for result in results.values()], representation=[*results]
    )
    return FewShot(joined, results, trunks, draws)


def about_folds(data: Dataset, draws: Draws) -> dict[str, Any]:
    """Return what a schema says of the folds: labels are drawn from their training rows."""
    train, test = (rows_of([getattr(f, name) for f in draws.folds]) for name in ("train", "test"))
    arrays = Data(data.x, data.y, train, None, test, data.weights)
    return {
        "split": draws.split,
        "train_rows": float(np.mean(train.count)),
        "test_rows": float(np.mean(test.count)),
        "shared_test_rows": shared_test_rows(test),
        "digest": digest_of(arrays),
        "rows_digest": digest_of_rows(arrays),
    }


def with_members(result: Result, members: Members, about: Mapping[str, Any]) -> Result:
    """Return a result with the members, and the folds, that the user has named.

    Args:
        result: The same members with folds of labeled rows, on one axis `member`.
        members: The members.
        about: What the schema says of their folds.
    """
    own = [name for name in result.scores.coords if name != "epoch"]
    columns = {k: ("member", v) for k, v in members.columns().items() if v.ndim == 1}
    scores = result.scores.drop_vars(own).assign_coords(columns)
    schema = dataclasses.replace(result.schema, **about)
    return dataclasses.replace(result, scores=scores, schema=schema, members=members)


def _of_rows(result: Result, fields: Mapping[str, Any]) -> Result:
    """Return a result as one of rows, whose heads cannot predict without their trunk."""
    schema = dataclasses.replace(result.schema, **fields)
    parts = tuple(
        part
        if part.study is not None and part.study.augment is not None
        else Part(None, part.trained, part.places)
        for part in result.parts
    )
    return dataclasses.replace(result, schema=schema, parts=parts)
