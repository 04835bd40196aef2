"""The demo: every journey of a booking, on the real stack."""

import time
from typing import Final

BEGUN: Final = time.monotonic()
"""When its process began. Importing the rest takes a second or two."""
