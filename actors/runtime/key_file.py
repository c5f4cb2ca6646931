"""A secret CURVE key in a file: 64 hexadecimal digits, for its owner's eyes only (mode 0600)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from actors.errors import ConfigError, Conflict, InvalidInput
from actors.runtime.curve import Curve, key_of_text, new_curve, public_of

__all__ = ["make_key_file", "read_key_file"]

_OTHERS: Final = 0o077


def read_key_file(path: Path) -> Curve | None:
    """Return the pair of a secret key's file, None where there is no file.

    Raises ConfigError for one that holds no key, or that others may read.
    """
    try:
        if path.stat().st_mode & _OTHERS and os.name == "posix":
            raise ConfigError(
                f"{path} can be read by others", remedy=f"chmod 600 {path}, or make another key"
            )
        secret = key_of_text(path.read_text().strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, InvalidInput) as error:
        raise ConfigError(
            f"{path} is no secret key: {error}",
            remedy="mend its owner and permissions, or restore it from a backup",
        ) from None
    return Curve(public_of(secret), secret)


def make_key_file(path: Path) -> Curve:
    """Draw a pair and write its secret part, durably. Raises Conflict where a file is."""
    made = new_curve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{made.secret.hex()}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise Conflict(
            f"{path} is there already", remedy="`jobd keys show` shows its public part"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path} can't be written: {error.strerror}", remedy="name another place"
        ) from None
    return made
