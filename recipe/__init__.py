"""The learning recipe: what happens between a table of labelled pictures and a folder of checkpoints.

Start reading at `train.py` (one fold, cross-validation), then `engine.py` (one update). docs/architecture.md says where the rest lives.
"""
