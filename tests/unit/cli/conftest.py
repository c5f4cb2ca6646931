"""jobctl in this process, against the facade over the real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from jobd.cli.__main__ import main
from tests.unit.http.facade import Facade, facade


class Ran(NamedTuple):
    code: int
    out: bytes
    err: str


Jobctl = Callable[..., Ran]


@pytest.fixture
def served() -> Iterator[Facade]:
    with facade() as one:
        yield one


@pytest.fixture
def jobctl(
    served: Facade, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Jobctl:
    """Run jobctl in this process against the facade."""
    monkeypatch.setenv("JOBD_URL", served.url)
    monkeypatch.setenv("JOBD_TOKEN", served.token)

    def call(*args: str) -> Ran:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        out, err = capfdbinary.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, out, err.decode())

    return call
