"""All members at once: plans, layouts, compiled programs and the run."""

from jnn.population._cross_validate import cross_validate as cross_validate
from jnn.population._keeper import Keeper as Keeper
from jnn.population._keeper import finish as finish
from jnn.population._layout import bytes_needed as bytes_needed
from jnn.population._layout import compile_population as compile_population
from jnn.population._layout import make_layout as make_layout
from jnn.population._layout import packed as packed
from jnn.population._plan import Plan as Plan
from jnn.population._plan import Sizes as Sizes
from jnn.population._plan import bytes_of as bytes_of
from jnn.population._plan import cores as cores
from jnn.population._plan import make_plan as make_plan
from jnn.population._plan import use_cpu_cores as use_cpu_cores
from jnn.population._run import Status as Status
from jnn.population._run import is_out_of_memory as is_out_of_memory
from jnn.population._run import run as run
