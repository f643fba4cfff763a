"""Executes GraphQL operations by plan, breadth first: each field once for all objects of a level.

Stands on graphql-core alone and has its semantics; see docs/planned.md. A `Planner` belongs to one schema, a `Plan` to
one operation of a validated document; a plan is executed as often as one likes.
"""

from backend.planned.hints import Attribute, Batch, Each, Hint, Hints
from backend.planned.plan import ArgumentError, NotPlanned, Plan, Planner

__all__ = ["ArgumentError", "Attribute", "Batch", "Each", "Hint", "Hints", "NotPlanned", "Plan", "Planner"]
