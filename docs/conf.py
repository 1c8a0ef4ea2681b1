"""The site: `sphinx-build -W --keep-going docs site` makes it of these pages and the docstrings."""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import jnn  # noqa: E402  (found by the path above)

project = "jnn"
author = "the authors of jnn"
version = release = jnn.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "_extensions.docstrings",
    "_extensions.mathml",
    "_extensions.pages",
]
exclude_patterns = ["README.md", "_*", "Thumbs.db"]
suppress_warnings = ["myst.header"]  # a page may skip a level of headings

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "dollarmath"]
nb_execution_mode = "off"  # the notebooks of the course hold their outputs
nb_merge_streams = True
nb_code_prompt_show = "Show the solution"
nb_code_prompt_hide = "Hide the solution"

smartquotes = False  # quotes in prose are often those of a string
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"
highlight_language = "text"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"jnn {jnn.__version__}"
html_static_path = ["_static"]
html_css_files = ["jnn.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
