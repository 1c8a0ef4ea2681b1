"""Suite `search`: whole searches, each library in the way that its documentation advises."""

from benchmarks.case import Bar, Case, Job, Quality
from benchmarks.contender import Contender, threads

_TORCH = {"peer": "hyperparameters.torch", "needs": "torch"}
_ONE_AT_A_TIME = (
    Contender("Optuna + PyTorch (1 thread)", **_TORCH, members=10, environment=threads(1)),
    Contender("Optuna + PyTorch (2 threads)", **_TORCH, members=10, environment=threads(2)),
)
_TWO_PROCESSES = Contender(
    "Optuna + PyTorch (2 processes)", **_TORCH, members=20, processes=2, environment=threads(1)
)
_SKLEARN = Contender(
    "RandomizedSearchCV (scikit-learn)", "hyperparameters.scikit_learn", 20, environment=threads(1)
)
_FLAX = (
    Contender("Optuna + Flax (jitted step)", "hyperparameters.linen", 20, needs="optuna"),
    Contender("Optuna + Flax (jitted training)", "hyperparameters.linen_scan", 80, needs="optuna"),
)
_FLAX_LOOP, _FLAX_PROGRAM = ((contender.name,) for contender in _FLAX)
_TORCH_NAMES = tuple(contender.name for contender in _ONE_AT_A_TIME)

CASES = (
    Case(
        "search_settings",
        title=(
            "a random search of 64 settings on 5 folds: MLP 64-64-10 on digits, batch 32, Adam "
            "with an L2 penalty, 20 epochs"
        ),
        job=Job("settings", members=320, epochs=20, batch_size=32, most_warm_ups=2),
        contenders=(
            Contender("jnn", "hyperparameters.jnn", 320),
            *_ONE_AT_A_TIME,
            _TWO_PROCESSES,
            _SKLEARN,
            *_FLAX,
        ),
        bars=(
            Bar("x faster than Optuna driving PyTorch", _TORCH_NAMES, "jnn", at_least=15),
            Bar(
                "x faster than Optuna driving PyTorch, whole job with compilation",
                _TORCH_NAMES,
                "jnn",
                at_least=5,
                of="job",
            ),
            Bar(
                "x faster than scikit-learn's RandomizedSearchCV",
                (_SKLEARN.name,),
                "jnn",
                at_least=5,
            ),
            Bar("x faster than Optuna driving a jitted Flax loop", _FLAX_LOOP, "jnn", at_least=3),
            Bar(
                "x faster than Optuna driving a Flax training that is one program",
                _FLAX_PROGRAM,
                "jnn",
                at_least=3,
            ),
        ),
        quality=Quality(least=0.9, absolute=0.005),
        rounds=5,
    ),
)
