"""One typed configuration: the file, then `JOBD_CFG_<SECTION>__<KEY>`, then the flags.

A key that is not known, or a value of another type, stops the start with one line that names it.
Only what exists can be configured.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from actors.errors import ConfigError

__all__ = ["Config", "load"]


class NodeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """node: who and how much."""

    name: str = ""
    data: str = "./jobd-data"
    slots: int = 0  # 0: one for each core
    labels: dict[str, str] = {}


class HttpSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """http: the facade."""

    bind: str = "127.0.0.1:8080"
    allowed_hosts: tuple[str, ...] = ()


class AuthSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """auth: off only on loopback, and only when asked for by the flag's long name."""

    enabled: bool = True


class StorageSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """storage: the engine of the image."""

    engine: Literal["sqlite", "rocksdb", "memory"] = "sqlite"


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """log: what the node says of itself on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "pretty"] = "pretty"


class TelemetrySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """telemetry: metrics on a port of their own; empty turns them off."""

    metrics: str = "127.0.0.1:9090"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of a node."""

    node: NodeSection = NodeSection()
    http: HttpSection = HttpSection()
    auth: AuthSection = AuthSection()
    storage: StorageSection = StorageSection()
    log: LogSection = LogSection()
    telemetry: TelemetrySection = TelemetrySection()


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Config:
    """Return the configuration. `flags` has keys `section.key`. Raises ConfigError."""
    merged: dict[str, Any] = _file(path) if path is not None else {}
    origin = {f"{s}.{k}": str(path) for s, keys in merged.items() for k in keys}
    if "JOBD_DATA" in environment:
        merged.setdefault("node", {})["data"] = environment["JOBD_DATA"]
        origin["node.data"] = "JOBD_DATA"
    for name, text in environment.items():
        if name.startswith("JOBD_CFG_"):
            section, _, key = name.removeprefix("JOBD_CFG_").lower().partition("__")
            merged.setdefault(section, {})[key] = _from_text(section, key, text)
            origin[f"{section}.{key}"] = name
    for name, value in flags.items():
        section, _, key = name.partition(".")
        merged.setdefault(section, {})[key] = value
        origin[name] = "the command line"
    return _checked(merged, origin)


def _file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ConfigError(
            f"the configuration {path} can't be read: {error.strerror}",
            remedy="give a readable file with --config",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).replace("\n", " ")
        raise ConfigError(f"{path} is not YAML: {first}", remedy="mend the file") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(v, dict) for v in document.values()):
        raise ConfigError(
            f"{path} must hold sections with keys", remedy="for example `node: {slots: 4}`"
        )
    return document


def _checked(merged: dict[str, Any], origin: dict[str, str]) -> Config:
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    for section, keys in merged.items():
        if section not in sections:
            raise _unknown(section, list(sections), "section")
        known = [field.name for field in msgspec.structs.fields(sections[section])]
        for key in keys:
            if key not in known:
                place = origin.get(f"{section}.{key}", "the configuration")
                raise _unknown(f"{section}.{key}", [f"{section}.{k}" for k in known], "key", place)
    try:
        return msgspec.convert(merged, Config, strict=True)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`") or "configuration"
        place = origin.get(name.partition("[")[0], "the configuration")
        raise ConfigError(
            f"{name} (from {place}): {message}", remedy="give a value of that form"
        ) from None


def _unknown(
    name: str, known: list[str], noun: str, place: str = "the configuration"
) -> ConfigError:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"{name} (from {place}) is not a known {noun}", remedy=hint)


def _from_text(section: str, key: str, text: str) -> Any:
    """Give the text of an environment variable the type of its key; lists by comma."""
    types = {
        f"{s.name}.{f.name}": f.type
        for s in msgspec.structs.fields(Config)
        for f in msgspec.structs.fields(s.type)
    }
    wanted = types.get(f"{section}.{key}")
    if wanted is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if wanted is int:
        return int(text) if text.lstrip("-").isdigit() else text
    if wanted == tuple[str, ...]:
        return [part for part in text.split(",") if part]
    if wanted == dict[str, str]:
        return dict(part.partition("=")[::2] for part in text.split(",") if part)
    return text
