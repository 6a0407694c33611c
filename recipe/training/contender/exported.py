"""How fast the networks of a run will answer once exported: found out with the probe, whose backbone is theirs.

Prediction is part of a time limit, and an exported network answers two to three times as fast as torch does. So the
probe is exported as soon as it is fitted; where that succeeds, the trained network will be too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from protocol.errors import UserError
from protocol.language import tr
from recipe.config import Config
from recipe.pictures.decode import read_short
from recipe.pictures.preprocessing import short_side
from recipe.runs.ensemble import WEIGHTS, Answering
from recipe.serving.export import Exportee, export_fold, format_for_here
from recipe.serving.member import Member
from recipe.serving.runtimes import Wish
from recipe.system.console import say

TRIED = 8  # pictures, one by one; the first warms up


@dataclass(frozen=True)
class Speed:
    """Seconds of what is yet to come."""

    export: float  # of one network
    load: float  # of one network, by the process that answers
    decode: float  # of one picture, however many networks answer it
    picture: float  # by one network in all views, asked for alone


def exported_speed(member: Path, config: Config, paths: Sequence[Path]) -> Speed | None:
    """Exports the network in `member` and times it; None where the settings want no export, or none succeeds.

    Args:
        member: a run folder of one fold.
        paths: of pictures to try.
    """
    if config.export == "none":
        return None
    fmt = format_for_here() if config.export == "auto" else config.export
    begin = time.perf_counter()
    try:
        export_fold(Exportee(member / "fold0", WEIGHTS, 0), fmt)
        exported = time.perf_counter()
        answering = Member(member, Answering(), Wish())
    except UserError as reason:
        say(tr("export   {reason}; torch answers", reason=str(reason).rstrip(".")))
        return None
    load = time.perf_counter() - exported
    return Speed(exported - begin, load, *_picture(answering, paths[:TRIED]))


def _picture(member: Member, paths: Sequence[Path]) -> tuple[float, float]:
    """Seconds to read one, and to answer it."""
    decoded, answered = [], []
    for path in paths:
        begin = time.perf_counter()
        image = read_short(path, short_side(member.preprocessing))
        between = time.perf_counter()
        member.probs([image])
        decoded.append(between - begin)
        answered.append(time.perf_counter() - between)
    return median(decoded[1:] or decoded), median(answered[1:] or answered)
