# ruff: noqa: T201 -- a program: it prints its findings
"""Planted bugs of the consensus core: each takes one duty away, and a test sees it.

None is a branch of the product: a mutant is a patch of a small method, for the time of a run. `by`
says where it is looked for: in seeds of the swarm, in seeds of a profile of its own, in a scenario,
or in an exhaustive scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, Final, NamedTuple
from unittest import mock

from tests.sim.consensus import explorations
from tests.sim.consensus.planted import PATCHES, Patch
from tests.sim.consensus.profile import Profile
from tests.sim.consensus.scenarios import SCENARIOS
from tests.sim.consensus.world import Simulation
from tests.sim.violation import ViolationError

__all__ = ["MUTANTS", "Mutant", "Seen", "hunt", "main", "planted", "rows_of_page", "table"]

_PAGE: Final = Path(__file__).parents[3] / "docs/internals/consensus-proof.md"
_BEGIN: Final = "<!-- mutants: written by `scripts/sim --mutants` -->"
_END: Final = "<!-- mutants end -->"

# Profiles that bring a bug out sooner than the swarm does.
FAST: Final = Profile(commands=60, faulty_ms=500, crashes=2, drop=0.1, lies=0.3)
CRASHES: Final = Profile(
    commands=60, faulty_ms=700, crashes=6, drop=0.1, sync_ms=6, image_ms=40, lost_power=0.5
)
HARSH: Final = Profile(
    commands=60, faulty_ms=900, crashes=6, drop=0.3, sync_ms=25, slow_share=0.2, lies=0.5
)
FIVE: Final = Profile(
    voters=5, quorum_size=3, commands=50, faulty_ms=700, drop=0.2, lies=0.5, crashes=2
)
AMNESIA: Final = HARSH._replace(amnesia=True)
CHANGES: Final = Profile(commands=60, faulty_ms=700, changes=4, crashes=2, drop=0.05)
GROWING: Final = CHANGES._replace(voters=1, quorum_size=1)
LAGGING: Final = Profile(
    commands=80, faulty_ms=900, partitions=4, crashes=4, image_ms=20, forgetful=True
)
SLOW: Final = Profile(commands=30, faulty_ms=300, sync_ms=400, crashes=1, lies=0.5)
READS: Final = Profile(commands=60, reads=2.0, faulty_ms=500, slow_share=0.2, delay_ms=8)
NO_F: Final = Profile(voters=3, quorum_size=1, commands=60, faulty_ms=500, drop=0.1)


class Seen(NamedTuple):
    """What saw a mutant: the broken invariant, and where."""

    invariant: str
    where: str


class Mutant(NamedTuple):
    """A defect; looked for in the seeds of a profile, a scenario or a scope."""

    what: str
    patch: Patch
    profile: Profile | None = None  # None: as each seed draws it
    scenario: str = ""
    scope: str = ""
    durable: bool = True  # the scenario's decisions


def _of(name: str, what: str, profile: Profile | None = None, **by: Any) -> tuple[str, Mutant]:
    return name, Mutant(what, PATCHES[name], profile, **by)


MUTANTS: Final[dict[str, Mutant]] = dict((
    _of("exec_on_commit", "execute at commit, not at stability", FAST),
    _of("ignore_attached", "attached promises count before their command is committed", FAST),
    _of("stable_idx", "one frontier too few counts as stable", FAST),
    _of("lose_attached", "attached promises are lost at a restart", CRASHES),
    _of("delta_promises", "clock and attached are kept from different statements", FAST),
    _of("reuse_ids", "ids are used again after a restart", CRASHES),
    _of("read_one", "a read asks one replica only", READS),
    _of("send_before_sync", "messages leave before the fsync", FAST),
    _of("fast_after_rec", "acks count after a ballot was joined",
        scope="3: 2 commands, 1 recovery"),
    _of("slowq_f", "f acceptances decide, not f + 1", HARSH),
    _of("thr1", "one proposal of the maximum is enough though f = 2", FIVE),
    _of("min_ts", "the lowest proposal wins", FAST),
    _of("no_monotone", "a proposal may be below the coordinator's", FAST),
    _of("rec_always_Q", "recovery takes the maximum of all answers", HARSH),
    _of("rec_always_I", "recovery takes the maximum of the fast quorum's answers", HARSH),
    _of("rec_no_coord", "recovery does not see that the coordinator answered", HARSH),
    _of("no_amnesia_rule", "a restarted coordinator is not amnesiac", AMNESIA),
    _of("amnesia_answer", "an amnesiac coordinator answers a recovery", AMNESIA),
    _of("three_without_f", "n = 3 with f = 0 is accepted", NO_F),
    _of("no_back_off", "a fixed recovery timeout below the chain of fsyncs", SLOW),
    _of("lose_clock", "skips are forgotten at a restart", scenario="D3 clock forgotten"),
    _of("single_ballot", "one ballot for joined and accepted", scenario="D1 single ballot"),
    _of("repropose_after_rec", "a proposal is acknowledged after a ballot was joined",
        scenario="D2 acknowledged after joining"),
    # what the reference had not tried
    _of("gc_floor", "a statement's floor is ignored", LAGGING),
    _of("gc_too_early", "commands go before every member has them in its image", CRASHES),
    _of("snapshot_no_ids", "a snapshot forgets which commands it holds", LAGGING),
    _of("snapshot_no_reserve", "a snapshot replaces the own reservation",
        scenario="snapshot taken"),
    _of("seal_does_not_void", "what is stable behind a reconfiguration is still executed", CHANGES),
    _of("resubmitted_twice", "void transactions are submitted twice", CHANGES),
    _of("void_forgotten", "void transactions are not submitted again", CHANGES),
    _of("epoch_not_durable", "a restart goes back to the epoch before", CHANGES),
    _of("image_ahead", "the image's floor passes what is not executed", CRASHES),
    # others' bugs, and what this implementation could get wrong
    _of("resurrect", "a late message raises a collected command",
        scenario="late messages"),
    _of("old_read", "an answer to an earlier process's read counts",
        scenario="read of an earlier process"),
    _of("lower_ballot", "a value is accepted below the joined ballot", HARSH),
    _of("ballot_reused", "a recovery begins at a ballot used before", CRASHES),
    _of("tie_runs", "the command after the stable timestamp runs too", FAST),
    _of("answers_while_deciding", "a coordinator answers a recovery while it decides",
        scenario="recovered while deciding"),
    _of("fetch_any", "fetched commands are executed whatever their place", LAGGING),
))  # fmt: skip


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Have the product with a bug."""
    with ExitStack() as stack:
        for owner, attribute, plant in PATCHES[name]:
            patched = plant(getattr(owner, attribute))
            if isinstance(patched, FunctionType):
                patched.__name__ = attribute  # what is pickled finds it
            stack.enter_context(mock.patch.object(owner, attribute, patched))
        yield


def _tried(run: Callable[[], None]) -> str:
    """Return the invariant that a run breaks, or ""."""
    try:
        run()
    except ViolationError as error:
        return error.invariant
    except AssertionError:
        return "assert"
    except Exception:
        return "error"
    return ""


def hunt(name: str, seeds: int) -> Seen | None:
    """Return what sees a mutant first."""
    mutant = MUTANTS[name]
    with planted(name):
        if mutant.scenario:
            broken = _tried(SCENARIOS[mutant.scenario])
            return Seen(broken, f"scenario {mutant.scenario}") if broken else None
        if mutant.scope:
            found = explorations.explore(mutant.scope)
            where = f"scope {mutant.scope}, {found.states} states"
            return Seen(found.invariant, where) if found.invariant else None
        for seed in range(seeds):
            outcome = Simulation(seed, mutant.profile).run()
            if outcome.invariant:
                return Seen(outcome.invariant, f"{seed + 1} seeds")
    return None


def table(seen: dict[str, Seen]) -> str:
    """Return the page's table."""
    lines = ["| mutant | defect | seen by | needed |", "|---|---|---|---|"]
    for name, mutant in MUTANTS.items():
        found = seen[name]
        lines.append(f"| `{name}` | {mutant.what} | {found.invariant} | {found.where} |")
    return "\n".join(lines)


def rows_of_page() -> list[tuple[str, ...]]:
    """Return the rows of the table that the page has."""
    generated = _PAGE.read_text().partition(_BEGIN)[2].partition(_END)[0]
    rows = [line.strip("| ").split(" | ") for line in generated.strip().splitlines()[2:]]
    return [(name.strip("`"), *rest) for name, *rest in rows]


def _write_page(seen: dict[str, Seen]) -> None:
    page = _PAGE.read_text()
    before, _, rest = page.partition(_BEGIN)
    after = rest.partition(_END)[2]
    _PAGE.write_text(f"{before}{_BEGIN}\n{table(seen)}\n{_END}{after}")


def main(seeds: int = 400) -> int:
    """Hunt all and write the page's table; return the exit status."""
    seen: dict[str, Seen] = {}
    for name in MUTANTS:
        found = hunt(name, seeds)
        if found is not None:
            seen[name] = found
        told = f"{found.invariant} {found.where}" if found else "NOT SEEN"
        print(f"{name:24} {told}", flush=True)
    if len(seen) < len(MUTANTS):
        return 1
    _write_page(seen)
    return 0
