"""Begin Kim's network for movie reviews with the token vectors of wordllama.

    python examples/transfer/mr_word_vectors.py [rand] [static] [non-static] [--quick] [--folds N]
        [--epochs N] [--output FILE]

Kim, Convolutional Neural Networks for Sentence Classification (2014,
https://arxiv.org/abs/1408.5882) has 76.1 % with random word vectors, 81.0 % with fixed vectors of
word2vec (static) and 81.5 % with vectors that are trained further (non-static), means of ten folds.
Here the vector of a word is the mean of those of its tokens in wordllama, which were cut out of a
language model and trained for embeddings of sentences, scaled to the deviation of Kim's random
vectors. Networks, folds and training are those of `reproductions/mr_textcnn.py`, but for the
number of features, 256.
"""

import time
from typing import Any

import _words  # the first, because it says where the record is
import jax
import numpy as np
from _record import Row, arguments, save, show
from mr_textcnn import make_model, make_study

import jnn

PAPER = {"rand": 76.1, "static": 81.0, "non-static": 81.5}
DEVIATION = 0.5 / 12**0.5  # of numbers that are uniform from -0.25 to 0.25
FRESH = ["convs/**", "output/**"]


def vectors_of(data: jnn.Dataset) -> np.ndarray:
    """Return the vector of each word of the data, [ids, features]: zeros for padding."""
    vectors = _words.WordVectors()
    words = list(data.tokenizer.words)
    table = np.zeros((2 + len(words), vectors.table.shape[1]), np.float32)
    table[2:] = vectors(words)
    return table * (DEVIATION / table[2:].std())


def train(name: str, table: np.ndarray, data: jnn.Dataset, members: Any, epochs: int) -> jnn.Result:
    """Train one kind of network on the folds."""
    network = make_model(*table.shape)
    if name == "rand":
        return jnn.run(make_study(network, epochs), data, members)
    drawn, state = jnn.as_model(network).init(jax.random.key(0), data.x[:2])
    params = jnn.paths.fill(drawn, {"embedding": {"embedding": table}}, fresh=FRESH)
    if name == "non-static":
        study = make_study(network, epochs)
        return jnn.run(study, data, members, start_from=params, fresh=FRESH)
    frozen = jnn.freeze(network, (params, state), "embedding/**", fresh=FRESH)
    study = make_study(frozen.model, epochs, shared=frozen.shared)
    return jnn.run(study, data, members)


def main() -> None:
    """Train, print the table, and check the scores."""
    options = arguments(__doc__, list(PAPER), folds=1, epochs=25)
    jnn.use_cpu_cores()
    data = jnn.data.load("rt_polarity")
    data = data.take(slice(None, None, 10)) if options.quick else data
    members = jnn.folds(10)[: options.folds]
    epochs = 2 if options.quick else options.epochs
    tested = sum(len(fold.test) for fold in members.split.rows(data)[: options.folds])
    table = vectors_of(data)
    rows, seconds, best = [], {}, {}
    for name in options.names:
        start = time.perf_counter()
        result = train(name, table, data, members, epochs)
        seconds[name] = time.perf_counter() - start
        best[name] = result.scores["best_epoch"].values.tolist()
        accuracy = 100 * result.final()["accuracy"].values
        share = jnn.stats.proportion_interval(round(accuracy.mean() / 100 * tested), tested)
        interval = share._replace(mean=100 * share.mean, low=100 * share.low, high=100 * share.high)
        rows.append(Row(name, accuracy, PAPER[name], rounding=0.05, interval=interval))
        print(f"{name}: {accuracy.mean():.2f} % in {seconds[name]:.0f} s", flush=True)
        save(  # after each, because each takes long
            "mr_word_vectors",
            rows,
            options,
            seconds=seconds,
            best_epochs=best,
            epochs=epochs,
            folds=len(members),
            not_run=(
                f"{10 - len(members)} of 10 folds, and {25 - epochs} of 25 epochs, for time; the "
                f"interval is that of a share of {tested} test rows"
            ),
        )
    show(f"MR, accuracy in % on the test rows of {len(members)} of 10 folds, {epochs} epochs", rows)


if __name__ == "__main__":
    main()
