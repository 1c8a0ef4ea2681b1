"""Linear probes of texts: the representations, and scikit-learn on the same rows."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import _words  # the first, because it says where the record is
import numpy as np
from _record import Row, arguments, save, show
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import jnn

__all__ = ["arguments", "report"]

PAIRS = [("words", "tf-idf"), ("words", "random")]


def trunks_of(data: jnn.Dataset, names: Sequence[str]) -> dict[str, Any]:
    """Return the representations by name.

    "words" is the mean of the token vectors of wordllama; "tf-idf" is that of scikit-learn, whose
    weights of words come from all texts, without labels; "random" has random vectors of tokens.
    """
    vectors = _words.WordVectors()
    tf_idf = TfidfVectorizer().fit(data.texts).transform
    trunks = {"words": vectors, "tf-idf": tf_idf, "random": vectors.random()}
    return {name: trunks[name] for name in names}


def by_scikit_learn(few: jnn.transfer.FewShot, trunk: Any, data: jnn.Dataset) -> np.ndarray:
    """Return the accuracies of LogisticRegression() on the rows of each member."""
    features, labels = trunk(data.texts.tolist()), np.asarray(data.y)
    scores = []
    for place in range(len(few.draws.members)):
        train, _, test = few.draws.rows(place)
        model = LogisticRegression(max_iter=1000).fit(features[train], labels[train])
        scores.append(model.score(features[test], labels[test]))
    return np.array(scores)


def report(
    name: str,
    data: jnn.Dataset,
    members: jnn.Members,
    sizes: Sequence[int],
    before: Mapping[tuple[str, int], float],
    options: Any,
    not_run: str,
) -> None:
    """Train the heads, print the tables, write the record, and check the scores.

    Args:
        name: Name of the record.
        data: The texts.
        members: Their splits.
        sizes: Numbers of labels.
        before: Accuracies that were measured before, by representation and number of labels. They
            may be those of one set of held-out rows, so that each is taken as one more split.
        options: Of the command line.
        not_run: What is missing.
    """
    trunks = trunks_of(data, options.names)
    start = time.perf_counter()
    few = jnn.transfer.run(trunks, data, members=members, labels=sizes)
    seconds = {"jnn": time.perf_counter() - start}
    print(few)
    rows, earlier = [], []
    for representation, trunk in trunks.items():
        start = time.perf_counter()
        theirs = by_scikit_learn(few, trunk, data)
        seconds[f"scikit-learn, {representation}"] = time.perf_counter() - start
        ours = few.results[representation].final()["accuracy"].values
        for size in sizes:
            chosen = few.draws.labels == size
            title, values = f"{representation}, {size} labels", ours[chosen]
            rows.append(Row(title, values - theirs[chosen], 0.0, error=0.0, rounding=0.0005))
            if (representation, size) in before:
                earlier.append(Row(title, values, before[representation, size], rounding=0.0005))
    show(f"{data.name}: accuracy less that of scikit-learn on the same rows", rows, "none")
    show(f"{data.name}: accuracy, and that measured before", earlier, "before")
    differences = {}
    for a, b in PAIRS:
        if {a, b} <= {*trunks}:
            table = few.difference(a, b)
            print(f"{a} - {b}", table.to_string(index=False), sep="\n")
            differences[f"{a} - {b}"] = table.to_dict("records")
    save(
        name,
        rows,
        options,
        seconds=seconds,
        seconds_of_jnn={name: dict(result.timing) for name, result in few.results.items()},
        splits=len(members),
        before=[row.record() for row in earlier],
        differences=differences,
        table=few.table.to_dict("records"),
        not_run=not_run,
    )
    for row in rows:
        gap = abs(np.mean(row.values))
        assert gap < 0.003, f"{row.name} must score as scikit-learn, got a difference of {gap:.4f}"
