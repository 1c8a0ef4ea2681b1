"""Tables of defaults need PyTorch and Keras: `tests/test_docs_peers.py` measures them."""

collect_ignore_glob = ["_generate/from_*.py"]
