"""The learning recipe: what happens between a table of labelled pictures and a folder of checkpoints.

Start reading at cli.py, prepare.py, train.py and afterwards.py, in this order; then training/fold.py (one fold) and
training/step/update.py (one step). docs/architecture.md says where the rest lives.
"""
