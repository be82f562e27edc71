"""Rates of this machine, by short runs of the functions that the commands call, never of copies of them.

A rate is the slope between a smaller and a larger run, so that what a run takes however small is none of it. That is
measured by starting the commands themselves (`starting`).
"""

from motacli.planning.measuring.measure import measure_rates
from motacli.planning.measuring.options import MeasureOptions

__all__ = ["MeasureOptions", "measure_rates"]
