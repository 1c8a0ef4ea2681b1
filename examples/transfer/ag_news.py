"""Tell the topic of news from few labels, by three representations of the texts.

    python examples/transfer/ag_news.py [words] [tf-idf] [random] [--quick] [--splits N]
        [--output FILE]

Of the 7,600 texts of AG News's test part (Zhang et al. 2015, https://arxiv.org/abs/1509.01626)
3,000 are held out in each of 20 splits, and a logistic regression learns from 16 to 4,000 of the
others. Representations: "words", the mean of the token vectors of wordllama; "tf-idf" of
scikit-learn, whose weights of words come from all texts, without labels; and "random" vectors in
place of those of wordllama.

Every head is the `LogisticRegression()` of scikit-learn, which is fitted here as well, on the same
features and rows: that is the truth of the first table. The second one compares with figures that
were measured before, also with scikit-learn and 20 splits, whose draws are not known.
"""

import csv
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import _words  # the first, because it says where the record is
import numpy as np
from _record import Row, arguments, save, show
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit

import jnn

LABELS = (16, 64, 256, 1024, 4000)
BEFORE = {  # accuracies at these numbers of labels, means of 20 splits
    "words": (0.594, 0.760, 0.821, 0.846, 0.859),
    "tf-idf": (0.433, 0.598, 0.756, 0.835, 0.870),
    "random": (0.319, 0.376, 0.467, 0.550, 0.607),
}


def read() -> jnn.Dataset:
    """Return the news with their texts as they were written, because wordllama knows capitals."""
    data = jnn.data.load("ag_news_test")
    with (jnn.data.data_folder() / "ag_news" / "test.csv").open(encoding="utf-8") as file:
        texts = [f"{title} {text}" for _, title, text in csv.reader(file)]
    return dataclasses.replace(data, texts=np.array(texts, object))


def trunks_of(data: jnn.Dataset, names: Sequence[str]) -> dict[str, Any]:
    """Return the representations by name."""
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


def main() -> None:
    """Train, print the tables, and check that the heads score as those of scikit-learn."""
    options = arguments(__doc__, list(BEFORE), splits=20)
    jnn.use_cpu_cores()
    data = read()
    splits, sizes = (3, LABELS[:3]) if options.quick else (options.splits, LABELS)
    splitter = StratifiedShuffleSplit(splits, test_size=3000, random_state=0)
    trunks = trunks_of(data, options.names)
    start = time.perf_counter()
    few = jnn.transfer.run(trunks, data, members=jnn.folds(splitter), labels=sizes)
    seconds = {"jnn": time.perf_counter() - start}
    print(few)
    rows, before = [], []
    for name, trunk in trunks.items():
        start = time.perf_counter()
        theirs = by_scikit_learn(few, trunk, data)
        seconds[f"scikit-learn, {name}"] = time.perf_counter() - start
        ours = few.results[name].final()["accuracy"].values
        for number, size in enumerate(sizes):
            values = ours[few.draws.labels == size]
            expected = theirs[few.draws.labels == size]
            error = values.std(ddof=1) / splits**0.5
            title = f"{name}, {size} labels"
            rows.append(Row(title, values - expected, 0.0, error=0.0, rounding=0.0005))
            before.append(Row(title, values, BEFORE[name][number], error, rounding=0.0005))
    show(f"AG News, accuracy less scikit-learn's on the same rows, {splits} splits", rows, "none")
    show(f"AG News, accuracy over {splits} splits, measured before", before, "before")
    compared = [("words", "tf-idf"), ("words", "random")]
    pairs = [pair for pair in compared if {*pair} <= {*trunks}]
    differences = {}
    for a, b in pairs:
        table = few.difference(a, b)
        print(f"{a} - {b}", table.to_string(index=False), sep="\n")
        differences[f"{a} - {b}"] = table.to_dict("records")
    save(
        "ag_news",
        rows,
        options,
        seconds=seconds,
        splits=splits,
        before=[row.record() for row in before],
        differences=differences,
        table=few.table.to_dict("records"),
        not_run="the training part of AG News, 120,000 texts, which is not at hand",
    )
    for row in rows:
        gap = abs(np.mean(row.values))
        assert gap < 0.003, f"{row.name} must score as scikit-learn, got a difference of {gap:.4f}"


if __name__ == "__main__":
    main()
