"""The one error tree of JobD.

    JobdError                     anything that JobD raises on purpose
    ├── InvalidInput              you: the request can't be right; fix it, then send it again
    │   ├── InvalidSpec             a job spec with its list of problems, each with its place
    │   └── TooLarge                a value, a body or a transaction over its limit
    ├── NotFound                  you: nothing has that id or name
    ├── Conflict                  you: the state moved on (ETag, idempotency, terminal job)
    │   ├── IdempotencyMismatch     the same key came with another body
    │   ├── InFlight                the first request with this key has no answer yet
    │   └── PreconditionFailed      it is not at the revision that the request named
    ├── Unauthenticated           you: no credential, or one that is not known
    ├── Forbidden                 you: the credential lacks the scope; a foreign Host or Origin
    ├── Unavailable               not now: try again
    │   ├── Busy                    a bounded queue is full
    │   ├── ReadOnly                the disk is full or was told so; reads go on
    │   ├── MailboxFull             an actor's mailbox is at its bound
    │   ├── NodeUnreachable         what is asked for is at a node that can't be reached from here
    │   ├── NoQuorum                the node hears no majority of the voters; nothing was submitted
    │   ├── OutcomeUnknown          it may have been accepted; the same key settles it
    │   └── AskTimeout              no answer by the deadline; it may have been done
    ├── ActorUnavailable          the actor can't be reached; `maybe_executed` says what is known
    ├── ActorDied                 the actor ended for good
    ├── TaskError                 a method of an actor raised; it is also of that exception's type
    ├── Cancelled                 the call was cancelled; it did not run, or not to its end
    ├── DeadLetter                nobody has that address
    ├── Corrupt                   stored bytes fail their check; they are never served
    ├── SealingKeyLost            this node's key doesn't open its secrets; they are never guessed
    ├── StorageFailed             the disk refused a write or an fsync; the node must stop
    ├── DataDirectory             in use, of another version, or not writable
    └── ConfigError               a key, a value or a port of the configuration is wrong

Each class carries `code` (stable, snake_case, what doors map to a status or an exit code) and
`retryable` (whether the same call may succeed later). `remedy` is one sentence for the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

__all__ = [
    "ActorDied",
    "ActorUnavailable",
    "AskTimeout",
    "Busy",
    "Cancelled",
    "ConfigError",
    "Conflict",
    "Corrupt",
    "DataDirectory",
    "DeadLetter",
    "Forbidden",
    "IdempotencyMismatch",
    "InFlight",
    "InvalidInput",
    "InvalidSpec",
    "JobdError",
    "MailboxFull",
    "NoQuorum",
    "NodeUnreachable",
    "NotFound",
    "OutcomeUnknown",
    "PreconditionFailed",
    "Problem",
    "ReadOnly",
    "SealingKeyLost",
    "StorageFailed",
    "TaskError",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
]


class Problem(NamedTuple):
    """One thing wrong with an input: where (`$.retry.max_attempts`) and what.

    Line and column count from 1; 0 is unknown.
    """

    path: str
    line: int
    column: int
    message: str


class JobdError(Exception):
    """Base of every error that JobD raises on purpose."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    details: ClassVar[tuple[str, ...]] = ()  # its attributes that go along to another process

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class InvalidInput(JobdError):
    """The request can't be right as it stands."""

    code = "invalid_input"


class InvalidSpec(InvalidInput):
    """A spec with everything that is wrong with it."""

    code = "invalid_spec"

    def __init__(self, problems: list[Problem], *, remedy: str = "") -> None:
        first = problems[0].message if problems else "invalid"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first + more, remedy=remedy)
        self.problems = problems


class TooLarge(InvalidInput):
    """Over a limit of `actors/limits.py`; the message names it."""

    code = "too_large"


class NotFound(JobdError):
    """Nothing has that id or name."""

    code = "not_found"


class Conflict(JobdError):
    """The state moved on since the caller looked."""

    code = "conflict"


class IdempotencyMismatch(Conflict):
    """An idempotency key came again with another body."""

    code = "idempotency_mismatch"


class InFlight(Conflict):
    """The first request with this idempotency key has no answer yet: ask again in a moment."""

    code = "in_flight"
    retryable = True


class PreconditionFailed(Conflict):
    """A change was to hold only at another revision; `revision` is the present one, 0 is gone."""

    code = "precondition_failed"

    def __init__(self, message: str, *, revision: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.revision = revision


class Unauthenticated(JobdError):
    """No credential, or one that is not known."""

    code = "unauthenticated"


class Forbidden(JobdError):
    """The credential does not reach this far."""

    code = "forbidden"


class Unavailable(JobdError):
    """Not now; the same call may succeed later."""

    code = "unavailable"
    retryable = True


class Busy(Unavailable):
    """A bounded queue is full."""

    code = "busy"


class ReadOnly(Unavailable):
    """Writes are refused until there is room on the disk; reads go on."""

    code = "read_only"


class MailboxFull(Unavailable):
    """The actor's mailbox is at its bound; nothing was queued."""

    code = "mailbox_full"


class NodeUnreachable(Unavailable):
    """Only another node has it, and that one can't be reached from here; `node` is its id."""

    code = "node_unreachable"
    details = ("node",)
    node: str = ""

    @classmethod
    def at(cls, node: str, what: str, why: str = "") -> NodeUnreachable:
        """Return the error of something that only this node has; `why` is what was met."""
        error = cls(
            f"{what} is at node {node}, which can't be reached from here{why and f': {why}'}",
            remedy="try again once it is back, or ask that node itself",
        )
        error.node = node
        return error


class NoQuorum(Unavailable):
    """The node hears no majority of the voters: it submitted nothing, or could not look."""

    code = "no_quorum"


class AskTimeout(Unavailable):
    """No answer by the deadline; what was asked may have been done."""

    code = "timeout"


class OutcomeUnknown(Unavailable):
    """A submission that may have been accepted: sending it again with the same key is safe."""

    code = "outcome_unknown"

    def __init__(
        self, message: str, *, idempotency_key: str, job_id: str, remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.idempotency_key = idempotency_key
        self.job_id = job_id


class ActorUnavailable(JobdError):
    """The actor can't be reached now."""

    code = "actor_unavailable"
    retryable = True

    def __init__(self, message: str, *, maybe_executed: bool, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.maybe_executed = maybe_executed


class ActorDied(JobdError):
    """The actor ended for good: `reason` says why, `last_call` what it ran last."""

    code = "actor_died"
    details = ("reason", "last_call")
    reason: str = ""
    last_call: str = ""


class TaskError(JobdError):
    """A method of an actor raised.

    `exception` is the qualified name of its type, `values` its arguments where they are plain,
    `remote_traceback` the text of its traceback. What a caller gets is also of the exception's own
    type, if its process has that type loaded (actors/runtime/remote/task_error.py).
    """

    code = "task_failed"
    details = ("exception", "values", "remote_traceback")
    exception: str = ""
    values: Sequence[object] = ()
    remote_traceback: str = ""


class Cancelled(JobdError):
    """The call was cancelled: it did not run, or not to its end."""

    code = "cancelled"


class DeadLetter(JobdError):
    """Nobody has that address."""

    code = "dead_letter"


class Corrupt(JobdError):
    """Stored bytes fail their check."""

    code = "corrupt"


class SealingKeyLost(JobdError):
    """This node's key is missing, is another one, or does not open what was sealed."""

    code = "sealing_key_lost"


class StorageFailed(JobdError):
    """The disk refused a write or an fsync that can't be undone; whoever owns the log must stop."""

    code = "storage_failed"


class DataDirectory(JobdError):
    """The data directory can't be used by this process."""

    code = "data_directory"


class ConfigError(JobdError):
    """A key, a value, a path or a port of the configuration is wrong."""

    code = "config"
