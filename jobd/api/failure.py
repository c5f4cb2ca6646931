"""Problems of the API as the errors that they are: the same classes as at the node."""

from __future__ import annotations

import inspect
from typing import Final

import msgspec

from actors import errors
from actors.errors import JobdError
from jobd.api.problem import ProblemDetails

__all__ = ["error_of"]

_CLASSES: Final[dict[str, type[JobdError]]] = {
    cls.code: cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, JobdError)
}
_OF_HTTP: Final = {"method_not_allowed", "unsupported_media_type"}  # requests that can't be right


def error_of(status: int, body: bytes) -> JobdError:
    """Return the error that an answer with a status of 400 or more is."""
    try:
        problem = msgspec.json.decode(body, type=ProblemDetails)
    except msgspec.DecodeError:
        return JobdError(f"the node answered with status {status}")
    code = problem.type.rpartition(":")[2]
    message, remedy = problem.detail or problem.title, problem.remedy
    if code == errors.InvalidSpec.code:
        problems = [errors.Problem(p.path, p.line, p.column, p.message) for p in problem.errors]
        return errors.InvalidSpec(problems, remedy=remedy)
    if code == errors.OutcomeUnknown.code:
        return errors.OutcomeUnknown(
            message,
            idempotency_key=problem.idempotency_key,
            job_id=problem.job_id,
            remedy=remedy,
        )
    if code == errors.PreconditionFailed.code:
        return errors.PreconditionFailed(message, revision=problem.revision, remedy=remedy)
    if code == errors.ActorUnavailable.code:
        return errors.ActorUnavailable(message, maybe_executed=True, remedy=remedy)
    if code in _OF_HTTP:
        return errors.InvalidInput(message, remedy=remedy)
    return _CLASSES.get(code, JobdError)(message, remedy=remedy)
