"""What was run, how it ended and what it scored: one SQLite file per user, safe under several processes.

Every statement is a transaction on a connection of its own, so nothing is lost when a process is killed, and processes
and threads may use the records at the same time. A run belongs to the process that started it; a run whose process is
gone is marked as crashed when the records are next opened.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flyai_local.board.owner import alive, own_mark
from flyai_local.board.schema import VERSION, bring_up_to_date
from flyai_local.errors import UserError
from flyai_local.home import home, records_file
from flyai_local.states import Code, State
from protocol.language import tr

BUSY_SECONDS = 60.0  # how long a statement waits for another process's transaction
TURN_SECONDS = 0.2  # between two looks at the queue

RUNS = """
SELECT runs.id, competition, name, command, state, code, detail, sha256, size_bytes, queued, ended, seconds, peak_mb,
       total AS score, public AS public_score, private AS private_score, per_class, metric
FROM runs JOIN submissions ON submissions.id = runs.submission LEFT JOIN scores ON scores.run = runs.id
"""


@dataclass(frozen=True)
class Run:
    """One run as the records know it. Scores are in percent, moments in seconds since 1970, sizes as named."""

    id: int
    competition: str
    name: str
    command: str
    state: State
    code: Code | None
    detail: str
    sha256: str
    size_bytes: int
    queued: float
    ended: float | None
    seconds: float | None
    peak_mb: float | None
    score: float | None
    public_score: float | None
    private_score: float | None
    per_class: dict[str, float] = field(default_factory=dict)
    metric: str | None = None  # of the scores

    @property
    def counts(self) -> bool:
        """Whether the run is a try: it reached its end, and the platform was not what stopped it."""
        return self.state in (State.SCORED, State.FAILED)


def open() -> Records:
    """The records of this user, created when missing; runs whose process is gone are marked as crashed.

    Raises:
        UserError: the file cannot be used; names it and the remedy.
    """
    records = Records(records_file())
    records.mark_abandoned()
    return records


class Records:
    """The records in one SQLite file (write-ahead log, so that readers never wait for writers)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._transaction() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                bring_up_to_date(connection, version)
            self._use_write_ahead_log()
        except sqlite3.DatabaseError as error:
            raise UserError(
                tr(
                    "the records in {path} cannot be used ({error}): free the disk or the rights to it, or "
                    "move the file away to begin with empty records",
                    path=path,
                    error=error,
                )
            ) from error
        if version > VERSION:
            raise UserError(
                tr(
                    "the records in {path} have version {version} and this program knows {schema_version}: "
                    "update the program, or name another folder by FLYAI_LOCAL_HOME",
                    path=path,
                    version=version,
                    schema_version=VERSION,
                )
            )

    def start_run(self, submission: str, competition: str, command: str, sha256: str, size_bytes: int) -> int:
        """Put a new run into the queue, owned by this process; returns its number."""
        pid, process = own_mark()
        now = time.time()
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO competitions VALUES (?, ?)", (competition, now))
            key = (competition, submission, sha256)
            connection.execute(
                "INSERT OR IGNORE INTO submissions (competition, name, sha256, size_bytes) VALUES (?, ?, ?, ?)",
                (*key, size_bytes),
            )
            owner = connection.execute("SELECT id FROM submissions WHERE (competition, name, sha256) = (?, ?, ?)", key)
            added = connection.execute(
                "INSERT INTO runs (submission, command, state, pid, process, queued) VALUES (?, ?, ?, ?, ?, ?)",
                (owner.fetchone()[0], command, State.QUEUED.value, pid, process, now),
            )
            return int(added.lastrowid or 0)

    def set_state(self, run_id: int, state: State, code: Code | None = None, detail: str = "") -> None:
        """Note where a run stands. A run that has ended keeps its state."""
        with self._transaction() as connection:
            _end_or_move(connection, run_id, state, code, detail)

    def add_log(self, run_id: int, phase: str, path: Path) -> None:
        """Note where the log of a phase lies; a later file of the same phase takes its place."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO logs VALUES (?, ?, ?)", (run_id, phase, _portable(path)))

    def finish(
        self,
        run_id: int,
        state: State,
        code: Code | None = None,
        score: float | None = None,
        public_score: float | None = None,
        private_score: float | None = None,
        per_class: Mapping[str, float] | None = None,
        seconds: float = 0.0,
        peak_mb: float = 0.0,
        detail: str = "",
        metric: str | None = None,
    ) -> None:
        """End a run: state, score and use of time and memory in one transaction. A run that has ended stays as it
        is, and only one that ends as scored gets a score.
        """
        with self._transaction() as connection:
            if not _end_or_move(connection, run_id, state, code, detail):
                return
            connection.execute("UPDATE runs SET seconds = ?, peak_mb = ? WHERE id = ?", (seconds, peak_mb, run_id))
            if score is not None and state is State.SCORED:
                classes = json.dumps(dict(per_class or {}), ensure_ascii=False)
                values = (run_id, score, public_score, private_score, classes, metric or "accuracy")
                connection.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", values)

    def mark_abandoned(self) -> list[int]:
        """Mark every unfinished run whose process is gone as crashed, which is no try; returns their numbers."""
        with self._transaction() as connection:
            return _mark_abandoned(connection)

    @contextmanager
    def turn(self, run_id: int, on_wait: Callable[[int], None] | None = None) -> Iterator[None]:
        """Wait until every earlier run has ended or lost its process, then hold the turn for the body.

        Runs go in the order of their numbers, one at a time in all processes of this user. ``on_wait`` is called with
        the number of the run that is waited for, whenever that is another one.
        """
        try:
            self._wait(run_id, on_wait)
            yield
        except KeyboardInterrupt:
            self.set_state(run_id, State.CRASHED, Code.INTERRUPTED, "Ctrl-C")  # unless the body has recorded its end
            raise
        finally:
            with self._transaction() as connection:
                connection.execute("UPDATE runs SET has_turn = 0 WHERE id = ?", (run_id,))

    def run(self, run_id: int) -> Run:
        """The run of that number.

        Raises:
            UserError: there is none.
        """
        found = self._runs("WHERE runs.id = ?", (run_id,))
        if not found:
            raise UserError(tr("there is no run {run_id}: 'python -m flyai_local board' lists the runs", run_id=run_id))
        return found[0]

    def runs(self, competition: str | None = None) -> list[Run]:
        """All runs, or those of one competition, in the order of their numbers."""
        return self._runs("WHERE ? IS NULL OR competition = ? ORDER BY runs.id", (competition, competition))

    def logs(self, run_id: int) -> dict[str, Path]:
        """Log files of a run by phase, in the order of the phases."""
        with self._transaction(write=False) as connection:
            rows = connection.execute("SELECT phase, path FROM logs WHERE run = ? ORDER BY rowid", (run_id,)).fetchall()
        return {phase: home() / path for phase, path in rows}

    def _runs(self, where: str, values: tuple[object, ...]) -> list[Run]:
        with self._transaction(write=False) as connection:
            connection.row_factory = sqlite3.Row
            return [_read(row) for row in connection.execute(RUNS + where, values)]

    def _wait(self, run_id: int, on_wait: Callable[[int], None] | None) -> None:
        told = None
        while (ahead := self._take_turn(run_id)) is not None:
            if on_wait is not None and ahead != told:
                on_wait(ahead)
            told = ahead
            time.sleep(TURN_SECONDS)

    def _take_turn(self, run_id: int) -> int | None:
        """None when the run now has the turn, else the run that has it or is next."""
        with self._transaction() as connection:
            _mark_abandoned(connection)
            ahead = connection.execute(
                "SELECT id FROM runs WHERE id != ? AND (has_turn = 1 OR (ended IS NULL AND id < ?)) ORDER BY "
                "has_turn DESC, id LIMIT 1",
                (run_id, run_id),
            ).fetchone()
            if ahead is None:
                connection.execute("UPDATE runs SET has_turn = 1 WHERE id = ?", (run_id,))
            return ahead[0] if ahead else None

    def _use_write_ahead_log(self) -> None:
        """The mode is kept in the file, so this does something only once."""
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def _transaction(self, write: bool = True) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # without COMMIT this undoes everything


def _end_or_move(connection: sqlite3.Connection, run_id: int, state: State, code: Code | None, detail: str) -> bool:
    """Whether the run was still unfinished and now has the state."""
    ended = time.time() if state.ended else None
    changed = connection.execute(
        "UPDATE runs SET state = ?, code = ?, detail = ?, ended = ? WHERE id = ? AND ended IS NULL",
        (state.value, code.value if code else None, detail, ended, run_id),
    )
    return changed.rowcount == 1


def _mark_abandoned(connection: sqlite3.Connection) -> list[int]:
    marked = []
    held = connection.execute("SELECT id, pid, process, state FROM runs WHERE ended IS NULL OR has_turn = 1").fetchall()
    for run_id, pid, process, state in held:
        if not alive(pid, process):
            detail = tr("its process ended while the run was {state}", state=state)
            if _end_or_move(connection, run_id, State.CRASHED, Code.ABANDONED, detail):
                marked.append(run_id)
            connection.execute("UPDATE runs SET has_turn = 0 WHERE id = ?", (run_id,))
    return marked


def _read(row: sqlite3.Row) -> Run:
    values = dict(row)
    code, classes = values["code"], values["per_class"]
    return Run(
        **{
            **values,
            "state": State(values["state"]),
            "code": Code(code) if code else None,
            "per_class": json.loads(classes) if classes else {},
        }
    )


def _portable(path: Path) -> str:
    """The path relative to the user's folder where it lies in it, so that the folder may be moved."""
    absolute = path.absolute()
    return absolute.relative_to(home()).as_posix() if absolute.is_relative_to(home()) else str(absolute)
