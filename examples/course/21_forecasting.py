# %% [markdown]
# # 21. Forecasting
#
# A forecast predicts the future of a series from its past. Time has an order, and ignoring it is a
# common mistake in the evaluation of forecasts. This lesson cuts a series into windows, forecasts
# it with simple rules, with least squares and with networks, and asks which of them is better and
# how far a forecast may be off.

# %%
import functools
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.neighbors import KNeighborsRegressor

import jnn

jnn.use_cpu_cores()  # train on all cores; call it before JAX is first used
QUICK = "--quick" in sys.argv  # the tests train less

# %% [markdown]
# ## The idea
#
# The series is the number of airline passengers in each of 144 months from 1949 on, in thousands
# (Box and Jenkins 1970). It has a trend, and a season of twelve months that grows with it. In
# *logarithms* the season has the same height each year, and an error of 0.05 means about 5 %. If
# the file is neither here nor can be downloaded (see [Data](../../docs/data.md#arrays)), the lesson
# generates a series of the same kind.


# %%
def generate(months=144):
    random, month = np.random.default_rng(1), np.arange(months)
    noise = np.zeros(months)
    for t in range(1, months):
        noise[t] = 0.9 * noise[t - 1] + 0.02 * random.normal()
    season = 0.15 * np.sin(2 * np.pi * month / 12 - 2) + 0.06 * np.cos(4 * np.pi * month / 12)
    return np.exp(4.8 + 0.01 * month + season + noise)


try:
    lags = jnn.data.load("airline_passengers", split="all")
    passengers = np.concatenate([lags.x[0], lags.y])
except FileNotFoundError:
    passengers = generate()
series = np.log(passengers)
LENGTH, HORIZON, YEAR = 24, 12, 12  # months that a forecast reads, and months that it gives

figure, axes = plt.subplots(figsize=(9, 3.2))
axes.plot(1949 + np.arange(144) / YEAR, passengers, "k", linewidth=1)
for begin, end, color, label in [(72, 96, "tab:blue", "input"), (96, 108, "tab:orange", "target")]:
    axes.axvspan(1949 + begin / YEAR, 1949 + end / YEAR, color=color, alpha=0.3, label=label)
axes.set(xlabel="year", ylabel="thousands of passengers", yscale="log")
axes.set_yticks([100, 200, 400, 600], ["100", "200", "400", "600"])
axes.minorticks_off()
axes.set_title(f"One window of {LENGTH} + {HORIZON} months; {len(series)} months in all")
axes.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## The derivation
#
# **Windows.** A series of $T$ months $s_0, s_1, \ldots$ has $T - 24 - 12 + 1$ rows. Row $i$ has the
# input $x_i = (s_i, \ldots, s_{i + 23})$ and the target $y_i = (s_{i + 24}, \ldots, s_{i + 35})$.
# Forecasting is then a regression from 24 numbers to 12.
#
# **No peeking.** Neighboring rows share most of their months. If random rows are held out, their
# answers are contained in the rows next to them, which are training rows. So a model that is tested
# on forecasts made in month $t$ may train only on rows whose targets end before $t$: $i + 35 < t$.
# This is repeated for several years, each with all rows before it: *rolling-origin evaluation*.
# Everything that is fitted must use the past only, including the means and deviations for scaling.
#
# **Baselines.** Two rules need no training. The *naive* forecast repeats the last month. The
# *seasonal naive* forecast repeats the last year. A third rule adds *drift*: last year, plus the
# growth from the year before it to last year. A method that does not beat these rules has learned
# nothing useful.
#
# **Autoregression.** The forecast is a linear function of the input: $\hat y = x W + b$, one linear
# layer, whose kernel $W$ has 24 rows and 12 columns. All three rules are cases of it. The level
# changes with the years, so the last value $l$ of the input is subtracted first and added again at
# the end: $\hat y = (x - l) W + b + l$ (*NLinear*, Zeng et al. 2023,
# https://arxiv.org/abs/2205.13504). With $W = 0$ this is the naive forecast. For $n$ rows, as
# centered matrices $X$ and $Y$ (columns minus their means, which makes $b$ drop out), *ridge
# regression* minimizes
#
# $$ \frac{1}{n} \lVert X W - Y \rVert^2 + \lambda \lVert W \rVert^2 . $$
#
# The second term keeps weights small where the data determine them poorly. The gradient is
# $\frac{2}{n} X^T (X W - Y) + 2 \lambda W$. Set to zero, it gives
#
# $$ W = \Big( \frac{1}{n} X^T X + \lambda I \Big)^{-1} \frac{1}{n} X^T Y . $$
#
# **Bands.** How far will the next forecast be off? Let $e_1, \ldots, e_n$ be past absolute errors,
# of forecasts whose targets the model had not seen, and $e$ the next one. If all $n + 1$ orders of
# their sizes are equally likely, $e$ is the smallest, second smallest, ..., or largest with
# probability $1 / (n + 1)$ each, so that
#
# $$ P(e \le \text{the } k\text{-th smallest past error}) \ge \frac{k}{n + 1} . $$
#
# With $k = \lceil 0.9 (n + 1) \rceil$ the band $\hat y \pm e_{(k)}$, where $e_{(k)}$ is the $k$-th
# smallest past error, holds the truth in at least 90 % of cases. This is *split conformal
# prediction* (Vovk et al. 2005, https://doi.org/10.1007/b106715). It makes no assumption about the
# model. It does assume that future errors are like past errors, which for a series is only roughly
# true.
#
# ## From scratch

# %%
count = len(series) - LENGTH - HORIZON + 1
x = np.stack([series[i : i + LENGTH] for i in range(count)])  # [rows, 24]
y = np.stack([series[i + LENGTH : i + LENGTH + HORIZON] for i in range(count)])  # [rows, 12]

rows_of_years = []  # (training rows, test rows): forecasts made in each month of one year
for year in range(5, 11):
    first = year * YEAR - LENGTH  # the row whose targets begin in January
    rows_of_years.append((np.arange(first - HORIZON + 1), np.arange(first, first + YEAR)))
for training, test in rows_of_years:
    assert training[-1] + LENGTH + HORIZON - 1 < test[0] + LENGTH  # targets end before the test


def ridge(x, y, penalty):
    """Return weights and bias of the linear map from x - last to y - last."""
    last = x[:, -1:]
    inputs, targets = x - last, y - last
    middle, height = inputs.mean(axis=0), targets.mean(axis=0)
    a, b = inputs - middle, targets - height
    weights = np.linalg.solve(a.T @ a / len(a) + penalty * np.eye(a.shape[1]), a.T @ b / len(a))
    return weights, height - middle @ weights


def forecast(x, weights, bias):
    last = x[:, -1:]
    return (x - last) @ weights + bias + last


PENALTY = 0.003
last_year, year_before = x[:, YEAR:], x[:, :YEAR]
growth = last_year.mean(axis=1, keepdims=True) - year_before.mean(axis=1, keepdims=True)
rules = {
    "naive": np.repeat(x[:, -1:], HORIZON, axis=1),
    "seasonal naive": last_year,
    "seasonal + drift": last_year + growth,
}
errors = {
    name: np.array([np.abs(rule[test] - y[test]).mean() for _, test in rows_of_years])
    for name, rule in rules.items()
}
maps = [ridge(x[training], y[training], PENALTY) for training, _ in rows_of_years]
errors["least squares"] = np.array(
    [
        np.abs(forecast(x[test], *one) - y[test]).mean()
        for (_, test), one in zip(rows_of_years, maps, strict=True)
    ]
)
for name, error in errors.items():
    print(f"{name:17} mean absolute error in each year {error.round(3)}")
assert errors["seasonal naive"].mean() < errors["naive"].mean()

# %% [markdown]
# At the solution the slope of the loss must be zero. JAX computes the slope:


# %%
def loss(weights, bias, x, y):
    last = x[:, -1:]
    error = (x - last) @ weights + bias + last - y
    return jnp.sum(error**2) / len(x) + PENALTY * jnp.sum(weights**2)


training = rows_of_years[-1][0]
slopes = jax.grad(loss, (0, 1))(*map(jnp.float32, (*maps[-1], x[training], y[training])))
far = jax.grad(loss)(*map(jnp.float32, (0 * maps[-1][0], maps[-1][1], x[training], y[training])))
assert all(jnp.abs(slope).max() < 1e-4 * jnp.abs(far).max() for slope in slopes)

# %% [markdown]
# ## In jnn
#
# `Dataset.from_series` cuts the windows when they are read, so the series is stored once.
# `jnn.models.NLinear` is the linear map from above. Gradient descent on the training rows of the
# last year finds the weights of the formula. jnn's loss is the mean over the 12 months, not their
# sum, so the penalty is divided by 12.

# %%
data = jnn.Dataset.from_series(series[:, None], LENGTH, HORIZON, name="passengers")
linear = jnn.Study(
    model=functools.partial(jnn.models.NLinear, LENGTH, HORIZON),
    loss=jnn.losses.squared_error,
    optimizer=optax.sgd(4.0, momentum=0.9),
    penalty=lambda params, h: PENALTY / HORIZON * jnn.layers.l2(params["kernel"]),
    metrics={"mae": jnn.metrics.mae},
    epochs=1500,
    batch_size=len(training),  # all rows in each step
    evaluate_every=1500,
)
of_linear = jnn.run(linear, data, jnn.folds(rows_of_years[-1:]))
trained = of_linear.trained.params
np.testing.assert_allclose(trained["kernel"][0], maps[-1][0], atol=2e-3)
np.testing.assert_allclose(trained["bias"][0], maps[-1][1], atol=2e-3)
np.testing.assert_allclose(of_linear.final()["mae"], errors["least squares"][-1], atol=1e-3)

# %% [markdown]
# ## Is this difference real?
#
# Now a more flexible network: an LSTM ([lesson 13](13_recurrent.ipynb)) reads the 24 months one
# after the other. It trains with several seeds for each year, and is compared with the linear map
# and with the rules, year by year.

# %%
lstm = jnn.Study(
    model=functools.partial(jnn.models.Forecaster, 1, HORIZON, 16, from_last=True),
    loss=jnn.losses.squared_error,
    optimizer=optax.adam(5e-3),
    metrics={"mae": jnn.metrics.mae},
    inputs=jnn.preprocess.standardize,  # fitted on each member's training rows
    targets=jnn.preprocess.standardize,
    epochs=100 if QUICK else 300,
    batch_size=24,
    evaluate_every=50,
)
years = jnn.folds(rows_of_years)
SEEDS = 2 if QUICK else 5
of_lstm = jnn.run(lstm, data, jnn.seeds(SEEDS) * years)
errors["LSTM"] = of_lstm.final()["mae"].mean("seed").to_numpy()
print(of_lstm.summary())

train_rows = np.mean([len(training) for training, _ in rows_of_years])
others = ["naive", "seasonal naive", "seasonal + drift", "LSTM"]
comparisons = {
    other: jnn.stats.paired_comparison(errors["least squares"], errors[other], train_rows, YEAR)
    for other in others
}
adjusted = jnn.stats.holm([comparison.p_value for comparison in comparisons.values()])
for (other, comparison), p_value in zip(comparisons.items(), adjusted, strict=True):
    print(f"least squares - {other}: {comparison.difference}, p = {p_value:.2g} by Holm")

figure, axes = plt.subplots(figsize=(6, 3.6))
for place, error in enumerate(errors.values()):
    axes.plot(error, np.full(len(error), place), "o", color="tab:gray", alpha=0.6)
    axes.plot(error.mean(), place, "k|", markersize=16)
axes.set_yticks(range(len(errors)), errors)
axes.set(xlabel="mean absolute error of the logarithm", xlim=(0, None))
axes.set_title(f"Each of n = {len(rows_of_years)} years, and their mean")
plt.show()

# %%
assert comparisons["naive"].difference.high < 0 and adjusted[0] < 0.05
noise = comparisons["seasonal + drift"]
assert noise.difference.low < 0 < noise.difference.high
assert comparisons["LSTM"].difference.low < 0  # the network is not seen to be better
assert len({min(errors, key=lambda name: errors[name][year]) for year in range(6)}) > 1

# %% [markdown]
# One difference is real: the linear map is better than repeating the last month. No difference can
# be seen between the linear map and the rule "last year plus growth", which has no parameters: the
# interval contains zero, and a difference of a few percent is possible. Nor is the network better.
# Its mean error is a little higher, but after Holm's correction this difference is not significant.
# Six years are six test sets, and which method is best differs between single years. A report of
# forecasts should include such rules as baselines.
#
# **How far off?** Two bands are drawn around the forecasts of the LSTM. The first is the spread of
# its seeds, 1.645 standard deviations to either side, which would contain 90 % of a normal
# distribution. The second comes from past errors, for each month of the horizon. A forecast made
# last December reaches far into this year, so its errors are not known in January. Therefore the
# errors of last year are left out, and those of all years before it are used.


# %%
def in_years(result, year):
    return result.select(fold=year).predict(data.x[rows_of_years[year][1]])


predictions = [in_years(of_lstm, year) for year in range(len(rows_of_years))]
errors_of_years = []
inside = {"spread of the seeds": [], "past errors": []}
for prediction, (_, test) in zip(predictions, rows_of_years, strict=True):
    error = np.abs(prediction.mean[..., 0] - y[test])  # [12 rows, 12 months]
    if len(errors_of_years) > 1:
        past = np.concatenate(errors_of_years[:-1])  # without last year
        rank = min(int(np.ceil(0.9 * (len(past) + 1))), len(past))
        half = np.sort(past, axis=0)[rank - 1]
        inside["past errors"].append(error <= half)
        inside["spread of the seeds"].append(error <= 1.645 * prediction.std[..., 0])
    errors_of_years.append(error)
coverage = {name: float(np.mean(held)) for name, held in inside.items()}
for name, share in coverage.items():
    print(f"bands of 90 % by {name} hold {share:.0%} of n = {np.size(inside[name])} months")
assert coverage["past errors"] > coverage["spread of the seeds"] + 0.2

figure, axes = plt.subplots(figsize=(9, 3.6))
row, months = test[0], np.arange(LENGTH, LENGTH + HORIZON)
middle, spread = prediction.mean[0, :, 0], 1.645 * prediction.std[0, :, 0]
axes.plot(np.concatenate([x[row], y[row]]), "k", linewidth=1, label="series")
axes.plot(months, rules["seasonal + drift"][row], ":", color="tab:green", label="last year + drift")
axes.plot(months, middle, color="tab:blue", label=f"LSTM, mean of n = {SEEDS} seeds")
for width, color, label in [(half, "tab:orange", "past errors"), (spread, "tab:blue", "seeds")]:
    axes.fill_between(months, middle - width, middle + width, color=color, alpha=0.3, label=label)
axes.set(xlabel="month of the window", ylabel="log of passengers")
axes.set_title("A forecast of the last year, with two bands of 90 %")
axes.legend(loc="upper left", fontsize="small", ncols=2)
plt.show()

# %% [markdown]
# The seeds agree with each other far more than with the future. Their spread shows how much the
# forecast depends on the seed. It does not include the noise of the series, nor errors that the
# model makes with every seed. For least squares, where all seeds find the same weights, it would be
# zero. So bands should come from errors on data that were not trained on. Even such bands are right
# only if future errors are like past ones, and here the errors change, because each year the
# network has more rows to train on. So count how often a band contains the truth, as here. (The
# counted months overlap, and are far from independent.)
#
# ## Exercises
#
# ### Exercise 1
#
# The seasonal naive forecast is a case of the linear map. With which weights?

# %% tags=["hide-cell"]
seasonal = np.zeros((LENGTH, HORIZON))
seasonal[LENGTH - YEAR + np.arange(HORIZON), np.arange(HORIZON)] = 1  # month h of last year
np.testing.assert_allclose(forecast(x, seasonal, 0), rules["seasonal naive"])

# %% [markdown]
# ### Exercise 2
#
# A *random walk*, $s_{t+1} = s_t + \text{noise}$, cannot be forecast better than by its last value.
# Forecast a walk of 600 steps from the nearest neighbor of each window (`KNeighborsRegressor(1)`),
# and evaluate it once with random folds and once with folds in time. What are the two errors?

# %% tags=["hide-cell"]
walk = np.cumsum(np.random.default_rng(0).normal(size=600))
windows = np.lib.stride_tricks.sliding_window_view(walk, LENGTH + HORIZON)
before, after = windows[:, :LENGTH], windows[:, LENGTH:]


def error_of_neighbors(folds):
    found = []
    for training, test in folds.split(before):
        model = KNeighborsRegressor(1).fit(before[training], after[training])
        found.append(np.abs(model.predict(before[test]) - after[test]).mean())
    return np.mean(found)


last_value = np.abs(after - before[:, -1:]).mean()
shuffled = error_of_neighbors(KFold(5, shuffle=True, random_state=0))
in_time = error_of_neighbors(TimeSeriesSplit(5, gap=LENGTH + HORIZON))
print(f"last value {last_value:.2f}; neighbor: {shuffled:.2f} shuffled, {in_time:.2f} in time")
assert shuffled < last_value < in_time  # the shuffled folds report what no forecast can reach

# %% [markdown]
# ### Exercise 3
#
# Check the conformal band by simulation: draw 20 absolute errors of a normal distribution, take the
# one of rank $\lceil 0.9 \cdot 21 \rceil$, and see how often a 21st error is below it. Then let the
# next error have twice the deviation. How much of the 90 % is left?

# %% tags=["hide-cell"]
drawn = np.abs(np.random.default_rng(0).normal(size=(20_000, 21)))
half_width = np.sort(drawn[:, :20], axis=1)[:, int(np.ceil(0.9 * 21)) - 1]
held, held_in_unrest = np.mean(drawn[:, 20] <= half_width), np.mean(2 * drawn[:, 20] <= half_width)
print(f"held {held:.1%}, and {held_in_unrest:.1%} if the future is twice as noisy")
np.testing.assert_allclose(held, 19 / 21, atol=0.01)
assert held_in_unrest < 0.75
