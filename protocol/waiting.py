"""How idle threads of a computing library wait: asleep, so that a busy neighbour costs a share and not the run.

OpenMP's threads spin by default while one of them waits for a core. On two cores beside other programs, training took
ten times as long so (`python -m benchmarks.busy`). Asleep at once, they must be woken for each of a step's hundreds of
operations, which costs a quiet machine a tenth to a quarter; so GNU's, which Linux has, look for work for some tens of
microseconds first, the time from one operation to the next. The libraries read these variables once, when they are
loaded: the package `recipe` sets them at its import, before torch can come, and the platform's stand-in for every
process that it starts.

Source: OpenMP 5.2, section 21.7, "OMP_WAIT_POLICY".
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # any of them set by the user decides alone
SPINS = "5000"  # turns of GNU's waiting loop, some tens of microseconds; docs/performance.md has 0 to 20,000


def waiting_asleep(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment so that idle threads sleep; nothing where the user has chosen how they wait."""
    return (
        {}
        if any(environment.get(name) for name in VARIABLES)
        else {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS}
    )


def sleeps(environment: Mapping[str, str]) -> bool:
    """Whether threads are to sleep: for libraries with a setting of their own in place of these variables."""
    return {**environment, **waiting_asleep(environment)}.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
