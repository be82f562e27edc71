"""Numbers as tables show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from motacli.report.comparison import DECIMALS, Number


@dataclass(frozen=True, slots=True)
class Style:
    """How a format marks the best value and a significant difference, writes a minus, and lets text stay text."""

    best: str = "**{}**"
    star: str = "*"
    minus: str = "-"
    text: Callable[[str], str] = str

    def value(self, number: Number | None) -> str:
        """``45.21``; like everything here, nothing where there is no such number."""
        if number is None:
            return ""
        return (self.best if number.best else "{}").format(percent_text(number.value))

    def interval(self, number: Number | None) -> str:
        """``[43.1, 47.3]``: the ends are not known more precisely than that."""
        return "" if number is None or number.interval is None else self._range(*number.interval)

    def difference(self, number: Number | None) -> str:
        """``+3.10*``, in points; what rounds to zero has no sign."""
        if number is None or number.difference is None:
            return ""
        text = percent_text(abs(number.difference.mean))
        sign = "" if not text.strip("0.") else "+" if number.difference.mean > 0 else self.minus
        return sign + text + (self.star if number.significant else "")

    def difference_interval(self, number: Number | None) -> str:
        """The interval of the difference."""
        if number is None or number.difference is None:
            return ""
        return self._range(number.difference.low, number.difference.high)

    def _range(self, low: float, high: float) -> str:
        ends = (f"{round(end, 1) + 0.0:.1f}" for end in (low, high))  # adding zero takes the sign from -0.0
        return f"[{', '.join(ends)}]".replace("-", self.minus)


def percent_text(value: float) -> str:
    """``45.21``."""
    return f"{value:.{DECIMALS}f}"


def p_text(p: float | None) -> str:
    """``0.0312``."""
    return "" if p is None else f"{p:.4f}"
