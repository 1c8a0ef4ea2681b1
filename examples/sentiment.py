"""Sentiment analysis: a convolutional and a recurrent network over words, and how sure an ensemble of them is.

    python examples/sentiment.py [--data rt_polarity] [--quick]

Without --data the sentences are made from a small grammar in which "not" turns the meaning, so nothing is fetched;
rt_polarity is Pang and Lee's 10662 sentences of film critics, fetched or found in the folder JNN_DATA.
"""

import argparse
from functools import partial

import numpy as np
import optax

import jnn

GOOD = (
    "a touching and honest film",
    "brilliant from start to end",
    "funny , warm and clever",
    "the best of the year",
)
BAD = (
    "a dull and empty film",
    "tedious from start to end",
    "silly , cold and clumsy",
    "the worst of the year",
)
ABOUT = "the plot is", "the cast is", "this story seems", "the second half is", "her performance is"
ASKED = {
    "made": [
        "the plot is not a dull and empty film",
        "the cast is brilliant from start to end",
        "the cast is not funny",
    ],
    "rt_polarity": [
        "a touching and honest film",
        "tedious from start to end",
        "not bad , but hardly the best of the year",
    ],
}


def made(rows: int = 1500) -> jnn.Dataset:
    """Sentences like "the cast is not tedious from start to end": the label is that of the phrase, turned by "not"."""
    random = np.random.default_rng(0)
    labels, turned = random.integers(2, size=rows), random.integers(2, size=rows)
    phrases = [
        random.choice(GOOD if label != turn else BAD)
        for label, turn in zip(labels, turned, strict=True)
    ]
    words = [
        f"{random.choice(ABOUT)} {'not ' * turn}{p}"
        for turn, p in zip(turned, phrases, strict=True)
    ]
    tokenizer = jnn.data.WordTokenizer.fit(words)
    return jnn.Dataset.from_texts(
        words, labels, tokenizer=tokenizer, target_names=("negative", "positive"), name="made"
    )


def networks(data: jnn.Dataset, quick: bool) -> dict[str, partial]:
    """TextCNN (Kim 2014) and an LSTM that reads both ways."""
    size, length = data.tokenizer.size, data.x.shape[1]
    features, maps, hidden = (16, 16, 32) if quick or data.name == "made" else (100, 50, 64)
    cnn = partial(jnn.models.TextCNN, size, 2, features=features, maps=maps)
    options = {
        "vocabulary": size,
        "features": features,
        "bidirectional": True,
        "padding_id": 0,
        "dropout_rate": 0.2,
    }
    return {
        "TextCNN": cnn,
        "LSTM": partial(jnn.models.SequenceClassifier, (length,), hidden, 2, **options),
    }


def show(result: jnn.Result, data: jnn.Dataset, sentences: list[str]) -> None:
    """Each sentence with the ensemble's probability and the members' disagreement."""
    ids = jnn.data.pad([data.tokenizer.encode(s) for s in sentences], data.x.shape[1])
    prediction = result.predict(ids)
    for sentence, mean, std in zip(sentences, prediction.mean, prediction.std, strict=True):
        print(f"    positive {mean[1]:.2f} ± {std[1]:.2f}  {sentence}")


def main() -> None:
    """Trains both networks, prints their scores and what they say of a few sentences, checks the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["made", "rt_polarity"], default="made")
    parser.add_argument(
        "--quick", action="store_true", help="a small budget, to see that everything runs"
    )
    arguments = parser.parse_args()
    jnn.use_cpu_cores()
    is_made = arguments.data == "made"
    data = made() if is_made else jnn.data.load("rt_polarity")
    seeds, epochs = (2, 4) if arguments.quick else (5, 5)
    for name, model in networks(data, arguments.quick).items():
        study = jnn.Study(
            model=model,
            loss=jnn.losses.softmax_cross_entropy,
            optimizer=optax.adam(1e-2 if is_made else 1e-3),
            metrics={"accuracy": jnn.metrics.accuracy},
            epochs=epochs,
            batch_size=50,
        )
        result = jnn.run(study, data, jnn.seeds(seeds) * jnn.holdout(0.2))
        print(name, result.summary(), sep="\n")
        show(result, data, ASKED[arguments.data])
        score, least = result.final()["accuracy"].mean().item(), 0.9 if is_made else 0.6
        assert score > least, f"wanted an accuracy above {least} of the {name}, but got {score:.3f}"


if __name__ == "__main__":
    main()
