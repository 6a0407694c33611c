"""What is wrong with a data set, as training and platform say it alike."""

from protocol.findings import DataError, Finding, summary

__all__ = ["DataError", "Finding", "summary"]
