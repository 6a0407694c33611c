"""The learning recipe: what happens between a table of labelled pictures and a folder of checkpoints.

Start reading at cli.py, prepare.py, train.py and afterwards.py, in this order; then training/fold.py (one fold) and
training/step/update.py (one step). docs/architecture.md says where the rest lives.
"""

import os

from protocol.home import have_home
from protocol.waiting import waiting_asleep

have_home()
os.environ.update(waiting_asleep(os.environ))  # before torch is loaded, whichever door one comes in by

__version__ = "0.1.0"
