"""The name under which `Dataset` was imported by some versions."""

from flyai.dataset import Dataset as Lib

__all__ = ["Lib"]
