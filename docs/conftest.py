"""Some files of the pages need more than the tests: PyTorch and Keras, or Sphinx.

`tests/test_docs_peers.py` measures the tables of defaults, `tests/test_site.py` builds the site.
"""

collect_ignore_glob = ["_generate/from_*.py", "_extensions/*.py", "conf.py"]
