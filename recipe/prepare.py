"""From a folder of pictures to all a run needs: checked table, network at its start, decoded pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from protocol.card import read as read_card
from protocol.language import later, tr
from recipe.app import Competition
from recipe.cli import Options
from recipe.components.metrics import METRICS
from recipe.config import Config
from recipe.data.check import check
from recipe.data.findings import DataError, summary
from recipe.data.folds import Fold
from recipe.data.own_folds import own_folds
from recipe.data.reading import read
from recipe.data.table import Table
from recipe.models.start import Start, start
from recipe.models.weights import Fetch
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import Preprocessing, short_side
from recipe.runs.trackers import check_trackers
from recipe.system.console import Bar, say
from recipe.system.processes.world import beside, here
from recipe.training.clock.limit import TimeLimit
from recipe.training.run import Prepared

UNLIMITED_MB = 2**30  # more than any disk


def prepare(options: Options, folder: Path, fetch: Fetch | None = None) -> Prepared:
    """Reads and checks the competition in `folder`, builds the network and decodes every picture once; with --dry-run
    it does not decode.

    The cheap checks come first: a wrong name is refused before weights are fetched, and weights before pictures are
    decoded.

    Raises:
        UserError: a setting, the table, the weights or the pictures cannot be used.
    """
    world = here()
    competition, table, begun = world.in_turn(lambda: begin(options, folder, fetch))  # weights are fetched once
    pictures = pictures_of(table, begun.preprocessing, options.config, folder)
    if options.dry_run:
        return Prepared(begun, table, pictures, competition, own_folds_of(table, competition))
    limit = TimeLimit.of(options.config, options.began)
    with Bar(len(table), later("picture"), tr("decoding")) as bar:

        def decoded(ready: int, total: int) -> None:
            bar.advance()
            limit.check(tr("decoding the pictures"))

        table, findings = check(table, options.config.folds, options.strict, pictures, decoded)
    if findings:
        say(summary(findings))
    pictures = pictures.of(table.paths)
    if options.config.group_duplicates:
        table = world.first(lambda: _grouped(table, pictures))
    return Prepared(begun, table, pictures, competition, own_folds_of(table, competition))


def begin(options: Options, folder: Path, fetch: Fetch | None = None) -> tuple[Competition, Table, Start]:
    """What is entered, its table as read, and the network at its start. Raises as `prepare`."""
    competition = completed(options.app.competition, folder)
    METRICS[competition.metric]
    check_trackers(options.config)
    columns = competition.columns
    table = read(folder, columns.image, columns.label, group_column=columns.group or None, encoding=columns.encoding)
    return competition, table, start(options.config, len(table.classes), fetch)


def completed(competition: Competition, folder: Path) -> Competition:
    """What is entered, with the columns and the metric of the card that lies beside the pictures, where neither
    app.yaml nor the command line names them.

    Raises:
        DataError: the card cannot be read.
    """
    try:
        card = read_card(folder)
    except ValueError as error:
        raise DataError(str(error)) from None
    if card is None:
        return competition
    columns, said = competition.columns, competition.columns.model_fields_set
    theirs = {"image": card.image, "label": card.label}
    columns = columns.model_copy(update={name: value for name, value in theirs.items() if name not in said})
    metric = competition.metric if "metric" in competition.model_fields_set else card.metric
    return competition.model_copy(update={"columns": columns, "metric": metric})


def own_folds_of(table: Table, competition: Competition) -> tuple[Fold, ...] | None:
    """The folds that app.yaml or the command line names a file or a column for; None where they do not."""
    columns = competition.columns
    if not columns.fold and not competition.folds_csv:
        return None
    file = Path(competition.folds_csv) if competition.folds_csv else table.source
    folds = own_folds(table, file, columns.image, columns.fold or "fold", columns.encoding)
    say(tr("folds    {folds} as {name} cuts them", folds=len(folds), name=file.name))
    return folds


def pictures_of(table: Table, preprocessing: Preprocessing, config: Config, folder: Path | None = None) -> Pictures:
    """The pictures of a table at the size that a network needs, kept within the settings' limits; a file of them lies
    in `folder`, else in the system's folder for temporary files.
    """
    cache_mb = None if config.cache_mb < 0 else config.cache_mb // beside()
    return Pictures(table.paths, short_side(preprocessing), cache_mb, disk_mb(config), folder)


def disk_mb(config: Config) -> int:
    """The limit of a process's file of decoded pictures; `PictureFile` keeps within the free disk by itself."""
    return UNLIMITED_MB if config.cache_disk_mb < 0 else config.cache_disk_mb // beside()


def _grouped(table: Table, pictures: Pictures) -> Table:
    """The table with copies of a picture in one group, and its own groups kept whole."""
    from recipe.data.duplicates import duplicate_groups

    copies = duplicate_groups(table, pictures)
    say(
        tr(
            "{table} pictures are copies of others and stay in one fold with them",
            table=len(table) - len(np.unique(copies)),
        )
    )
    return replace(table, groups=copies)
