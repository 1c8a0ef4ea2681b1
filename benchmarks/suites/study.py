"""Suite `study`: whole jobs from a cold process, imports and compilation included."""

from benchmarks.case import Bar, Case
from benchmarks.contender import Contender, threads

_LOOPS = (
    Contender(
        "PyTorch loop (1 thread)", "torch_eager", members=4, environment=threads(1), needs="torch"
    ),
    Contender(
        "PyTorch loop (2 processes)",
        "torch_processes",
        members=4,
        environment=threads(1),
        needs="torch",
    ),
)
_FUNC = Contender(
    "torch.func ensemble (2 threads)",
    "torch_func",
    members=300,
    environment=threads(2),
    needs="torch",
)
_EQUINOX = Contender("Equinox ensemble", "equinox_ensemble", members=300, needs="equinox")
_LOOP_NAMES = tuple(c.name for c in _LOOPS)
_SEARCHES = (
    Contender(
        "scikit-learn, RandomizedSearchCV", "search_sklearn", members=6, environment=threads(1)
    ),
    Contender(
        "PyTorch loop, 1 thread", "search_torch", members=6, environment=threads(1), needs="torch"
    ),
)


CASES = (
    Case(
        "study_digits",
        "300 members of the MLP 64-32-10 on digits, batch 32, Adam, 20 epochs",
        workload="digits", members=300, epochs=20, batch_size=32,
        contenders=(Contender("jnn", "jnn_population", members=300), *_LOOPS, _FUNC, _EQUINOX),
        bars=(
            Bar("x faster than a PyTorch loop, from a cold process", _LOOP_NAMES, "jnn", at_least=10, of="cold"),
            Bar("x faster than the best peer, from a cold process", (*_LOOP_NAMES, _FUNC.name, _EQUINOX.name), "jnn",
                at_least=2, of="cold"),
        ),
        least_accuracy=0.94, rounds=3, most_warm_ups=3,
    ),
    Case(
        "study_search",
        "a random search of 50 learning rates on 3 folds: MLP 64-32-10 on digits, batch 32, Adam, 20 epochs",
        workload="search", members=150, epochs=20, batch_size=32,
        contenders=(Contender("jnn", "search_jnn", members=150), *_SEARCHES),
        bars=(Bar("x faster than the best peer, from a cold process", tuple(c.name for c in _SEARCHES), "jnn",
                  at_least=2, of="cold"),),
        least_accuracy=0.7, equal_accuracy=False, rounds=3, most_warm_ups=2,
    ),
)  # fmt: skip
