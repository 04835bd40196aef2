"""Which sentences of the domain and the API are known to the pages, so that they are said in every language."""

import re

from api.pages.sentences import table

_PATTERNS = [re.compile(re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(pattern))) for pattern, _ in table()]


def is_known(text: str) -> bool:
    """`text` may have any word in place of a value."""
    return any(pattern.fullmatch(text) for pattern in _PATTERNS)
