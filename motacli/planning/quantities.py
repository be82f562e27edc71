"""Numbers as people write and read them: 3e6, 400M, 5B; 2.5 h, 1.2 TB. Units are decimal: a GB is 10^9 bytes."""

from __future__ import annotations

import math
import re

from motacli.errors import UsageError

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_COUNT = re.compile(r"(\d[\d_,]*\.?\d*(?:e\+?\d+)?)\s*([kmbgt]?)", re.IGNORECASE)
_TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_SIZES = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_COUNTS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def read_count(text: str, what: str = "number") -> int:
    """``3e6``, ``400M``, ``5B`` or ``12,000`` as a whole number; `UsageError`, naming ``what``, for anything else."""
    found = _COUNT.fullmatch(text.strip())
    value = math.nan
    if found:
        value = float(found[1].replace("_", "").replace(",", "")) * _FACTORS[found[2].lower()]
    if not math.isfinite(value) or abs(value - round(value)) > 1e-9 * max(value, 1):
        raise UsageError(f"{what} {text!r} is no whole number", "as in 12000, 3e6, 400M or 5B")
    return round(value)


def time_text(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    return _in_units(seconds, _TIMES)


def size_text(count: float) -> str:
    """Bytes in the unit that suits them."""
    return _in_units(count, _SIZES)


def count_text(count: float) -> str:
    """A number with the letters that `read_count` understands."""
    return _in_units(count, _COUNTS).replace(" ", "") if count >= 1000 else f"{count:g}"


def _in_units(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if value <= 0:
        return "0"
    factor, unit = next(((factor, unit) for factor, unit in units if value >= factor), units[-1])
    scaled = value / factor
    digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2
    return f"{scaled:,.{digits}f} {unit}"
