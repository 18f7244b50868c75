from __future__ import annotations

from tests.properties.conftest import plan

__all__ = ["plan"]
