"""The sandbox's painter: real pictures, drawn by rules, from what a provider is given."""

from sandbox.painting.brief import PaintBrief, PaintingError, UnpaintableSize, UnreadableReference
from sandbox.painting.painter import paint

__all__ = ["PaintBrief", "PaintingError", "UnpaintableSize", "UnreadableReference", "paint"]
