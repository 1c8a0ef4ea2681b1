"""Text generation by characters: an LSTM and a GPT, trained as populations, then writing, and how fast they write.

    python examples/text.py [--data tinyshakespeare] [--temperature 0.8] [--top-k 40] [--top-p 0.95] [--quick]

Without --data the text is the Python standard library's own source, so nothing is fetched. The loss is that of the
held-out end of the text, in nats per character; bits per character are loss / ln 2.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn

PROMPT = {"python_library": "def __init__(self, ", "tinyshakespeare": "KING HENRY:\n"}


def networks(vocabulary: int, length: int, quick: bool) -> dict[str, partial]:
    """An LSTM of one layer, a GPT of two."""
    width = 32 if quick else 128
    gpt = partial(jnn.models.GPT, vocabulary, 4 * length, layers=2, num_heads=4, features=width)
    return {"LSTM": partial(jnn.models.LanguageModel, vocabulary, width), "GPT": gpt}


def write(
    result: jnn.Result, model: partial, prompt: np.ndarray, length: int, **how
) -> tuple[np.ndarray, float]:
    """Every member goes on with the prompt, [members, length] ids; and characters per second, compiled beforehand."""

    @jax.jit
    def all_members(params, state, keys):
        def one(params, state, key):
            return jnn.generate(
                jnn.as_module(model, params, state), prompt[None], length, key=key, **how
            )[0]

        return jax.vmap(one)(params, state, keys)

    keys = jax.random.split(jax.random.key(0), len(result.members))
    arguments = result.trained.params, result.trained.model_state, keys
    jax.block_until_ready(all_members(*arguments))
    started = time.perf_counter()
    ids = jax.block_until_ready(all_members(*arguments))
    return np.asarray(ids), ids.size / (time.perf_counter() - started)


def main() -> None:
    """Trains both networks, prints losses and texts, checks the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=PROMPT, default="python_library")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-k", type=int, default=40)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument(
        "--quick", action="store_true", help="a small budget, to see that everything runs"
    )
    arguments = parser.parse_args()
    jnn.use_cpu_cores()
    length, seeds, steps, count = (32, 2, 150, 60) if arguments.quick else (64, 3, 2000, 300)
    data = jnn.data.load(arguments.data, split="all", length=length)
    ((train, test),) = data.splits
    fold = jnn.folds(
        [(train, test[:: 8 * length])]
    )  # every eighth of the windows that lie side by side
    prompt = jnp.asarray(data.tokenizer.encode(PROMPT[arguments.data]))
    frequencies = np.bincount(data.x.values, minlength=data.classes) / len(data.x.values)
    least = -np.sum(frequencies * np.log(np.maximum(frequencies, 1e-12)))  # without any context
    for name, model in networks(data.classes, length, arguments.quick).items():
        study = jnn.Study(
            model=model,
            loss=jnn.losses.softmax_cross_entropy,
            optimizer=optax.adamw(
                optax.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10, steps), b2=0.99
            ),
            metrics={"accuracy": jnn.metrics.accuracy},
            epochs=2,
            steps_per_epoch=steps // 2,
            batch_size=16,
        )
        result = jnn.run(study, data, jnn.seeds(seeds) * fold)
        how = {
            "temperature": arguments.temperature,
            "top_k": arguments.top_k,
            "top_p": arguments.top_p,
        }
        ids, speed = write(result, model, prompt, count, **how)
        loss = result.final()["loss"].mean().item()
        print(name, result.summary(), sep="\n")
        print(
            f"loss {loss:.3f} nats, {speed:.0f} characters a second by {seeds} members at once; the first one writes:"
        )
        print(PROMPT[arguments.data] + data.tokenizer.decode(ids[0]), end="\n\n")
        assert loss < 0.95 * least, f"wanted a loss below {0.95 * least:.2f}, but got {loss:.2f}"


if __name__ == "__main__":
    main()
