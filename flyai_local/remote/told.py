"""What a site tells about a submission and a board, as text for the terminal."""

from __future__ import annotations

from typing import Any

from flyai_local.listing import aligned
from flyai_local.run.progress import failure
from flyai_local.states import Code
from flyai_local.terminal import shown
from protocol.language import tr

__all__ = ["board", "ending", "log", "waiting"]


def board(told: dict[str, Any]) -> str:
    """A board as lines."""
    private = ["private"] if told["revealed"] else []
    rows = [
        (row["rank"], row["name"], row["public"], *([row["private"]] if private else []), row["tries"], row["at"][:16])
        for row in told["rows"]
    ]
    ranked = "private" if private else "public"
    head = tr(
        "{contest}: {rows} ranked by the {ranked} score ({metric}), in percent",
        contest=told["contest"],
        rows=len(rows),
        ranked=tr(ranked),
        metric=told["metric"],
    )
    header = (tr("rank"), tr("name"), tr("public"), *map(tr, private), tr("tries"), tr("when"))
    return head + ("\n" + aligned([header, *rows]) if rows else "")


def waiting(told: dict[str, Any]) -> str:
    """Where a submission stands that has not ended."""
    if told["state"] != "queued":
        return str(told["state"])
    seconds = told["starts_in_seconds"]
    when = (
        tr("no worker is there yet")
        if seconds is None
        else tr("expected to start in {seconds:.0f} min", seconds=seconds / 60)
    )
    return tr("queued: {ahead} before it, {when}", ahead=told["ahead"], when=when)


def ending(told: dict[str, Any]) -> str:
    """How a submission ended."""
    lines = [tr("submission {id}: {state}", id=told["id"], state=told["state"])]
    if told["code"] in {code.value for code in Code}:
        lines.append(failure(Code(told["code"]), told["detail"], [], ""))
    if told["public"] is not None:
        private = tr(", private {private}", private=told["private"]) if "private" in told else ""
        lines.append(
            tr("{metric}: public {public}{private}", metric=told["metric"], public=told["public"], private=private)
        )
    if told["per_class"]:
        lines.append(
            tr("per class: ") + ", ".join(f"{name} {percent:g}" for name, percent in told["per_class"].items())
        )
    return log("\n".join(lines))


def log(text: str) -> str:
    """Lines that a submission printed, harmless to a terminal whoever wrote them; a redrawn bar becomes lines."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(shown(line) for line in plain.split("\n"))
