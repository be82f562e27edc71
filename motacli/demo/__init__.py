"""`mota demo`: every stage of the method on the embedded tiny world, from nothing to a report, in minutes."""

from motacli.demo.recipe import Recipe
from motacli.demo.results import DemoResults
from motacli.demo.run import run_demo

__all__ = ["DemoResults", "Recipe", "run_demo"]
