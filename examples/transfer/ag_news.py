"""Tell the topic of news from few labels, by three representations of the texts.

    python examples/transfer/ag_news.py [words] [tf-idf] [random] [--quick] [--splits N]
        [--output FILE]

Of the 7,600 texts of AG News's test part (Zhang et al. 2015, https://arxiv.org/abs/1509.01626)
3,000 are held out in each of 20 splits, and a logistic regression learns from 16 to 4,000 of the
others: 300 heads.

Every head is the `LogisticRegression()` of scikit-learn, which is fitted here as well, on the same
features and rows: that is the truth of the first table. The second one compares with figures that
were measured before, also with scikit-learn and 20 splits, whose draws are not known.
"""

import csv
import dataclasses

import numpy as np
from _texts import arguments, report
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


def main() -> None:
    """Train, print the tables, and check that the heads score as those of scikit-learn."""
    options = arguments(__doc__, list(BEFORE), splits=20)
    jnn.use_cpu_cores()
    splits, sizes = (3, LABELS[:3]) if options.quick else (options.splits, LABELS)
    members = jnn.folds(StratifiedShuffleSplit(splits, test_size=3000, random_state=0))
    before = {
        (name, size): value
        for name, values in BEFORE.items()
        for size, value in zip(LABELS, values, strict=True)
    }
    not_run = "the training part of AG News, 120,000 texts, which is not at hand"
    report("ag_news", read(), members, sizes, before, options, not_run)


if __name__ == "__main__":
    main()
