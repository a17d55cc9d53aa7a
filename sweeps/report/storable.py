"""Text from journals as every file of a report can hold it.

JSON can spell half of a surrogate pair, which no encoding can write: a report must not fail for
one, so it becomes the escape that it was. All other text stays as it is; what is dangerous where
is each writer's to know.
"""

from __future__ import annotations

from typing import Any


def storable(data: Any) -> Any:
    """The same plain data, with every text in it, and every key, encodable in UTF-8."""
    if isinstance(data, str):
        return data if data.isascii() else data.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(data, dict):
        return {storable(key): storable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [storable(value) for value in data]
    return data
