"""Trees of arrays on disk."""

from jnn.storage._tree import damaged as damaged
from jnn.storage._tree import load as load
from jnn.storage._tree import load_nested as load_nested
from jnn.storage._tree import notes as notes
from jnn.storage._tree import read_json as read_json
from jnn.storage._tree import save as save
from jnn.storage._tree import to_host as to_host
from jnn.storage._tree import write_text as write_text
