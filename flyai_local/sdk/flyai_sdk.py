"""The 2022 single-file SDK: the same stand-in under the names of one module.

Submissions often ship the platform's own flyai_sdk.py, which contacts the platform on import and raises offline; a run
must leave that file out, so that this module is the one they import.
"""

from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from flyai.source.base import DATA_PATH, MODEL_PATH
from flyai.utils.remote_helper import get_remote_data as download_model

__all__ = ["DATA_PATH", "MODEL_PATH", "DataHelper", "FlyAI", "download_model"]
