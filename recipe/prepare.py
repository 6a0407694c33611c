"""From a folder of pictures to everything a run needs: the checked table, the network at its start, the decoded
pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recipe.cli import Options
from recipe.components.metrics import METRICS
from recipe.config import Config
from recipe.console import Bar, say
from recipe.data.check import check
from recipe.data.findings import summary
from recipe.data.table import Table, read
from recipe.models.start import Start, start
from recipe.models.weights import Fetch
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing, short_side
from recipe.training.clock.limit import TimeLimit

UNLIMITED_MB = 2**30  # more than any disk


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to train."""

    start: Start
    table: Table
    pictures: Pictures


def prepare(options: Options, folder: Path, fetch: Fetch | None = None) -> Prepared:
    """Reads and checks the competition in `folder`, builds the network and decodes every picture once.

    The cheap checks come first: a wrong name is refused before weights are fetched, and weights before pictures are
    decoded.

    Raises:
        UserError: a setting, the table, the weights or the pictures cannot be used.
    """
    competition = options.app.competition
    METRICS[competition.metric]
    columns = competition.columns
    table = read(folder, columns.image, columns.label, group_column=columns.group or None, encoding=columns.encoding)
    begun = start(options.config, len(table.classes), fetch)
    pictures = pictures_of(table, begun.preprocessing, options.config, folder)
    limit = TimeLimit.of(options.config, options.began)
    with Bar(len(table), "picture", "decoding") as bar:

        def decoded(ready: int, total: int) -> None:
            bar.advance()
            limit.check("decoding the pictures")

        table, findings = check(table, options.config.folds, options.strict, pictures, decoded)
    if findings:
        say(summary(findings))
    pictures = pictures.of(table.paths)
    return Prepared(begun, _grouped(table, pictures) if options.config.group_duplicates else table, pictures)


def pictures_of(table: Table, preprocessing: Preprocessing, config: Config, folder: Path | None = None) -> Pictures:
    """The pictures of a table at the size that a network needs, kept within the settings' limits; a file of them lies
    in `folder`, else in the system's folder for temporary files.
    """
    cache_mb = None if config.cache_mb < 0 else config.cache_mb
    return Pictures(table.paths, short_side(preprocessing), cache_mb, disk_mb(config), folder)


def disk_mb(config: Config) -> int:
    """The limit of the file of decoded pictures; `PictureFile` keeps within the free disk by itself."""
    return UNLIMITED_MB if config.cache_disk_mb < 0 else config.cache_disk_mb


def _grouped(table: Table, pictures: Pictures) -> Table:
    """The table with copies of a picture in one group, and its own groups kept whole."""
    from recipe.data.duplicates import duplicate_groups

    copies = duplicate_groups(table, pictures)
    say(f"{len(table) - len(np.unique(copies))} pictures are copies of others and stay in one fold with them")
    return replace(table, groups=copies)
