"""Curves, pretrained files and small readers."""
