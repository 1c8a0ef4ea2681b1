"""Reproduce PacGAN's ring of 8 Gaussians at a small size: how many modes do generators reach?

    python examples/reproductions/gan_ring.py [NAME ...] [--quick] [--seeds N] [--steps N]

Lin et al., PacGAN (2018, https://arxiv.org/abs/1712.04086), table 1, means of 10 trials with
standard errors: a plain GAN reaches 6.3 of 8 modes; one whose discriminator judges 2, 3 or 4 points
at once reaches 7.9, 7.8 and 7.8. Srivastava et al., VEEGAN (2017, https://arxiv.org/abs/1705.07761)
report 1 mode for the plain GAN on a ring. Unrolling 5 steps (Metz et al. 2017) is trained too.

As in PacGAN's code: Gaussians of std .01 on a circle of radius 1, 100,000 points, 2 latent numbers,
batches of 100 packs, Adam with b1 = .8 for both networks at once, scores of 2,500 points. A point
is of high quality within 3 standard deviations of the nearest mean, and a mode counts with one.

Smaller than there: two hidden layers of 128 relu units in both networks, with jnn's initial values,
where the generator has four layers of 400 with batch norm and the discriminator three maxout layers
of 200 with 5 pieces; a rate of 1e-3, not 1e-4; 2,000 steps, not 400,000. So a verdict outside is
about these networks and steps; the paired difference is what the paper is about.
"""

import time
from functools import partial

import numpy as np
import optax
from _record import Row, arguments, record_path, save, show

import jnn
from jnn import gan, plots

MEANS, STD = gan.ring(8), 0.01
POINTS, PACKS, LATENT, WIDTH, RATE = 100_000, 100, 2, 128, 1e-3
GAMES = {  # packing and unrolled steps
    "plain": (1, 0), "packed2": (2, 0), "packed3": (3, 0), "packed4": (4, 0), "unrolled5": (1, 5)
}  # fmt: skip
PUBLISHED = {  # mean and standard error of modes, high quality, reverse KL
    "plain": {"modes": (6.3, 0.5), "high_quality": (0.982, 0.002), "reverse_kl": (0.45, 0.09)},
    "packed2": {"modes": (7.9, 0.1), "high_quality": (0.956, 0.02), "reverse_kl": (0.07, 0.03)},
    "packed3": {"modes": (7.8, 0.1)},
    "packed4": {"modes": (7.8, 0.1)},
}
VEEGAN_MODES = 1.0


def make_study(packing: int, unrolled: int, steps: int) -> jnn.Study:
    """Return the study of one game, scored ten times."""
    # Unrolling differentiates the optimizer, whose square root has no slope at 0.
    adam = partial(optax.adam, RATE, b1=0.8, eps_root=1e-12 if unrolled else 0.0)
    return gan.Study(
        generator=partial(jnn.models.MLP, LATENT, (WIDTH, WIDTH), 2),
        discriminator=partial(jnn.models.MLP, 2 * packing, (WIDTH, WIDTH), 1),
        latent=LATENT,
        optimizers=(adam(), adam()),
        simultaneous=True,
        packing=packing,
        unrolled=unrolled,
        metrics={
            "modes": gan.modes(MEANS, STD),
            "high_quality": gan.high_quality(MEANS, STD),
            "reverse_kl": gan.reverse_kl(MEANS, STD),
        },
        samples=2500,
        evaluation_batch=2500,
        epochs=10,
        steps_per_epoch=steps // 10,
        batch_size=PACKS * packing,
    )


def values_of(result: jnn.Result, metric: str) -> np.ndarray:
    """Return a score of each seed at the end of training."""
    return np.asarray(result.final()["train_" + metric], np.float64).ravel()


def rows_of(results: dict[str, jnn.Result]) -> list[Row]:
    """Return the published figures beside ours."""
    rows = [
        Row(f"{name}, {metric}", values[np.isfinite(values)], *published)
        for name, figures in PUBLISHED.items()
        if name in results
        for metric, published in figures.items()
        for values in [values_of(results[name], metric)]
    ]
    plain = values_of(results["plain"], "modes")
    rows.append(Row("plain, modes; VEEGAN's table", plain[np.isfinite(plain)], VEEGAN_MODES))
    for name in [name for name in results if name.startswith("packed")]:
        gain = values_of(results[name], "modes") - plain
        expected = PUBLISHED[name]["modes"][0] - PUBLISHED["plain"]["modes"][0]
        rows.append(Row(f"{name} - plain, modes, paired", gain[np.isfinite(gain)], expected, 0.51))
    return rows


def draw(result: jnn.Result, path) -> None:
    """Draw the modes over the seeds beside the two published means of the plain GAN."""
    figure = plots.histogram(result, "train_modes")
    (axes,) = figure.axes
    axes.axvline(PUBLISHED["plain"]["modes"][0], color="k", label="plain, PacGAN's table")
    axes.axvline(VEEGAN_MODES, color="k", linestyle="--", label="plain, VEEGAN's table")
    axes.set_xlabel("modes of 8")
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.write(figure, path)


def main() -> None:
    """Train the games, print the table, draw the histogram, and check the scores."""
    options = arguments(__doc__, list(GAMES), seeds=20, steps=2000)
    seeds, steps = (4, 600) if options.quick else (options.seeds, options.steps)
    jnn.use_cpu_cores()
    ring = jnn.Dataset.from_arrays(gan.draw_mixture(MEANS, STD, POINTS), name="ring")
    results, seconds = {}, {}
    for name in dict.fromkeys(["plain", *options.names]):
        start = time.perf_counter()
        results[name] = jnn.run(make_study(*GAMES[name], steps), ring, jnn.seeds(seeds))
        seconds[name] = time.perf_counter() - start
        print(
            f"{name}: {seconds[name]:.0f} s, modes {values_of(results[name], 'modes')}", flush=True
        )
    result = jnn.Result.concat(list(results.values()), game=list(results))
    print(result.summary("train_modes"))
    print(result.summary("train_reverse_kl"))
    rows = rows_of(results)
    show(f"Ring of 8 Gaussians, {steps} steps, {seeds} seeds", rows)
    path = record_path("gan_ring", options)
    if path is not None:
        draw(result, path.with_suffix(".png"))
    save(
        "gan_ring", rows, options, seeds=seeds, steps=steps, seconds=seconds,
        modes={name: values_of(one, "modes").tolist() for name, one in results.items()},
        high_quality={n: values_of(one, "high_quality").tolist() for n, one in results.items()},
        reverse_kl={name: values_of(one, "reverse_kl").tolist() for name, one in results.items()},
        not_run="PacGAN's networks and 400,000 steps; its grid of 25 Gaussians",
    )  # fmt: skip
    modes = {name: values_of(one, "modes").mean() for name, one in results.items()}
    least = 1 if options.quick else 6
    assert max(modes.values()) > least, f"some game must reach more than {least} modes: {modes}"


if __name__ == "__main__":
    main()
