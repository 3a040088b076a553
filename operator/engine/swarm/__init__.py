"""The swarm adapter: the engine port over Docker's Engine API."""

from skep.operator.engine.swarm.engine import SwarmEngine
from skep.operator.engine.swarm.nodes import Node, Place

__all__ = ["Node", "Place", "SwarmEngine"]
