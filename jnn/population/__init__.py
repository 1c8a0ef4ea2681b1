"""All members at once: plans, layouts, compiled programs, the population handle and the run."""

from jnn.population._compile import Compiled, bytes_needed, compile_population, is_ragged
from jnn.population._cross_validate import cross_validate
from jnn.population._group import Group
from jnn.population._keeper import Keeper, finish, trained_epochs
from jnn.population._layout import Layout, make_layout, packed
from jnn.population._plan import Plan, Sizes, bytes_of, cores, make_plan, use_cpu_cores
from jnn.population._population import Population, Status, is_out_of_memory, start
from jnn.population._run import run

__all__ = [
    "Compiled",
    "Group",
    "Keeper",
    "Layout",
    "Plan",
    "Population",
    "Sizes",
    "Status",
    "bytes_needed",
    "bytes_of",
    "compile_population",
    "cores",
    "cross_validate",
    "finish",
    "is_out_of_memory",
    "is_ragged",
    "make_layout",
    "make_plan",
    "packed",
    "run",
    "start",
    "trained_epochs",
    "use_cpu_cores",
]
