"""Train an LSTM and a GPT on characters as populations, let them write, and time the writing.

    python examples/text.py [--data tinyshakespeare] [--temperature 0.8] [--top-k 40]
                            [--top-p 0.95] [--quick]

Without --data the text is the source of Python's standard library, so nothing is downloaded. The
loss is that of the held-out end of the text, in nats per character; bits per character are
loss / ln 2.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn

PROMPTS = {"python_library": "def __init__(self, ", "tinyshakespeare": "KING HENRY:\n"}


def make_networks(vocabulary: int, length: int, is_quick: bool) -> dict[str, partial]:
    """Make an LSTM of one layer and a GPT of two."""
    width = 32 if is_quick else 128
    lstm = partial(jnn.models.LanguageModel, vocabulary, width)
    gpt = partial(jnn.models.GPT, vocabulary, length, layers=2, num_heads=4, features=width)
    return {"LSTM": lstm, "GPT": gpt}


def make_study(model: partial, steps: int) -> jnn.Study:
    """Make a study of two epochs with a warm-up and a cosine decay of the learning rate."""
    rate = optax.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10, steps)
    return jnn.Study(
        model=model,
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adamw(rate, b2=0.99),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=2,
        steps_per_epoch=steps // 2,
        batch_size=16,
    )


def write(
    result: jnn.Result, model: partial, prompt: jax.Array, length: int, **options
) -> tuple[np.ndarray, float]:
    """Let every member continue the prompt.

    Returns:
        The ids [members, length], and the characters per second without compiling.
    """

    @jax.jit
    def write_all(params, state, keys):
        def write_one(params, state, key):
            network = jnn.as_module(model, params, state)
            return jnn.generate(network, prompt[None], length, key=key, **options)[0]

        return jax.vmap(write_one)(params, state, keys)

    keys = jax.random.split(jax.random.key(0), len(result.members))
    arguments = (result.trained.params, result.trained.model_state, keys)
    jax.block_until_ready(write_all(*arguments))  # compiles
    start = time.perf_counter()
    ids = jax.block_until_ready(write_all(*arguments))
    return np.asarray(ids), ids.size / (time.perf_counter() - start)


def entropy_of(ids: np.ndarray, vocabulary: int) -> float:
    """Return the loss that the frequencies of the characters give, without any context."""
    frequencies = np.bincount(ids, minlength=vocabulary) / len(ids)
    return -np.sum(frequencies * np.log(np.maximum(frequencies, 1e-12)))


def main() -> None:
    """Train both networks, print losses and texts, and check the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=PROMPTS, default="python_library")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-k", type=int, default=40)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--quick", action="store_true", help="train on a budget of seconds")
    arguments = parser.parse_args()
    jnn.use_cpu_cores()
    length, seeds, steps, count = (32, 2, 150, 60) if arguments.quick else (64, 3, 2000, 300)
    data = jnn.data.load(arguments.data, split="all", length=length)
    ((train, test),) = data.splits
    fold = jnn.folds([(train, test[:: 8 * length])])  # an eighth of the windows side by side
    prompt = PROMPTS[arguments.data]
    ids = jnp.asarray(data.tokenizer.encode(prompt))
    most = 0.95 * entropy_of(data.x.values, data.classes)
    for name, model in make_networks(data.classes, length, arguments.quick).items():
        result = jnn.run(make_study(model, steps), data, jnn.seeds(seeds) * fold)
        written, speed = write(
            result,
            model,
            ids,
            count if name == "LSTM" else length - len(ids),  # positions that the GPT has learned
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            top_p=arguments.top_p,
        )
        loss = result.final()["loss"].mean().item()
        print(name, result.summary(), sep="\n")
        print(f"loss {loss:.3f} nats; {seeds} members write {speed:.0f} characters a second:")
        print(prompt + data.tokenizer.decode(written[0]), end="\n\n")
        assert loss < most, f"loss of {name} must be below {most:.2f}, got {loss:.2f}"


if __name__ == "__main__":
    main()
