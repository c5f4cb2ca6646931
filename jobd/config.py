"""One typed configuration: the file, then `JOBD_CFG_<SECTION>__<KEY>`, then the flags.

A key that is not known, or a value of another type, stops the start with one line that names it.
Only what exists can be configured.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from actors.core.url_policy import parse_networks
from actors.errors import ConfigError, InvalidInput
from actors.model.ids import NAME_RE
from jobd.cluster_section import ClusterSection

__all__ = ["Config", "load"]

_NO_PLACE: Final = "the configuration"
_WANTED: Final[dict[Any, str]] = {
    bool: "give true or false",
    int: "give a whole number",
    dict[str, str]: "give names with texts, in a variable as a=b,c=d",
    tuple[str, ...]: "give a list of texts, in a variable as a,b",
}


class NodeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """node: who and how much."""

    name: Annotated[str, msgspec.Meta(pattern=f"^({NAME_RE.pattern})?$")] = ""
    data: Annotated[str, msgspec.Meta(min_length=1)] = "./jobd-data"
    slots: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0  # 0: one for each core
    labels: dict[str, str] = {}


class HttpSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """http: the facade."""

    bind: str = "127.0.0.1:8080"
    allowed_hosts: tuple[str, ...] = ()


class AuthSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """auth: off only on loopback, and only when asked for by the flag's long name."""

    enabled: bool = True


class HistorySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """storage.history: how long the history keeps, and whether old days go to Parquet files."""

    retention: Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,4}d$")] = "90d"
    parquet: bool = True

    @property
    def keep_days(self) -> int:
        """The retention in whole days."""
        return int(self.retention.removesuffix("d"))


class StorageSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """storage: the engine of the image, and the history."""

    engine: Literal["sqlite", "rocksdb", "memory"] = "sqlite"
    history: HistorySection = HistorySection()


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """log: what the node says of itself on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "pretty"] = "pretty"


class TelemetrySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """telemetry: metrics on a port of their own, empty turns them off; where traces go."""

    metrics: str = "127.0.0.1:9090"
    otlp_endpoint: str = ""


class HooksSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """hooks: which networks that are not public they may send to."""

    allowed_networks: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise ConfigError for what is no network."""
        try:
            parse_networks(self.allowed_networks)
        except InvalidInput as error:
            raise ConfigError(
                f"hooks.allowed_networks: {error.message}", remedy=error.remedy
            ) from None


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of a node."""

    node: NodeSection = NodeSection()
    http: HttpSection = HttpSection()
    cluster: ClusterSection = ClusterSection()
    auth: AuthSection = AuthSection()
    storage: StorageSection = StorageSection()
    log: LogSection = LogSection()
    telemetry: TelemetrySection = TelemetrySection()
    hooks: HooksSection = HooksSection()


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Config:
    """Return the configuration. `flags` has keys `section.key`. Raises ConfigError."""
    merged: dict[str, Any] = _file(path) if path is not None else {}
    origin = {f"{s}.{k}": str(path) for s, keys in merged.items() for k in keys}
    if "JOBD_DATA" in environment:
        merged.setdefault("node", {})["data"] = environment["JOBD_DATA"]
        origin["node.data"] = "JOBD_DATA"
    for name, text in environment.items():
        if name.startswith("JOBD_CFG_"):
            key = name.removeprefix("JOBD_CFG_").lower().replace("__", ".")
            _put(merged, key, _from_text(key, text), name)
            origin[key] = name
    for name, value in flags.items():
        _put(merged, name, value, "the command line")
        origin[name] = "the command line"
    return _checked(merged, origin)


def _put(merged: dict[str, Any], key: str, value: Any, place: str) -> None:
    *sections, last = key.split(".")
    for section in sections:
        merged = merged.setdefault(section, {})
        if not isinstance(merged, dict):
            raise ConfigError(f"{key} (from {place}) is not a known key", remedy="leave it out")
    if not sections:
        raise ConfigError(
            f"{key} (from {place}) is not a known key",
            remedy=f"name a section and a key: JOBD_CFG_{last.upper()}__KEY",
        )
    merged[last] = value


def _file(path: Path) -> dict[str, Any]:
    import yaml

    class Loader(yaml.CSafeLoader):
        """A key that stands twice would silently be the last one."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            names = [key.value for key, _ in node.value]
            for i, name in enumerate(names):
                if name in names[:i]:
                    mark = node.value[i][0].start_mark
                    raise yaml.MarkedYAMLError(problem=f"{name} stands twice", problem_mark=mark)
            return super().construct_mapping(node, deep)

    try:
        document = yaml.load(path.read_text(), Loader=Loader)  # noqa: S506 - a safe one
    except OSError as error:
        raise ConfigError(
            f"the configuration {path} can't be read: {error.strerror}",
            remedy="give a readable file with --config",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())
        raise ConfigError(f"{path} is not YAML: {first}", remedy="mend the file") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(v, dict) for v in document.values()):
        raise ConfigError(
            f"{path} must hold sections with keys", remedy="for example `node: {slots: 4}`"
        )
    return {str(s): {str(k): v for k, v in keys.items()} for s, keys in document.items()}


def _checked(merged: dict[str, Any], origin: dict[str, str]) -> Config:
    _check_names(merged, Config, "", origin)
    try:
        config = msgspec.convert(merged, Config, strict=True)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`").partition("[")[0]
        cause = f"{name} (from {_place(name, origin)}): {message}"
        raise ConfigError(cause, remedy=_remedy(_types().get(name))) from None
    config.cluster.check()
    config.hooks.check()
    return config


def _check_names(given: dict[str, Any], kind: Any, prefix: str, origin: dict[str, str]) -> None:
    """Refuse a name that is not of this section, or of one within it. Raises ConfigError."""
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in given.items():
        key = f"{prefix}{name}"
        if name not in known:
            noun = "key" if prefix else "section"
            raise _unknown(key, [prefix + k for k in known], noun, _place(key, origin))
        if _is_section(known[name]) and isinstance(value, dict):
            _check_names(value, known[name], f"{key}.", origin)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _place(key: str, origin: dict[str, str]) -> str:
    """Say where a key comes from, itself, with one below it, or with the one that it is in."""
    below = (place for name, place in origin.items() if name.startswith(f"{key}."))
    above = key.rpartition(".")[0]
    return origin.get(key) or next(below, "") or origin.get(above, _NO_PLACE)


def _remedy(wanted: Any) -> str:
    words = get_args(wanted)
    if words and all(isinstance(word, str) for word in words):
        return f"give one of {', '.join(words)}"
    return _WANTED.get(wanted, "give a text of that form")


def _unknown(name: str, known: list[str], noun: str, place: str) -> ConfigError:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"{name} (from {place}) is not a known {noun}", remedy=hint)


def _from_text(key: str, text: str) -> Any:
    """Give the text of an environment variable the type of its key; lists by comma."""
    wanted = _types().get(key)
    if wanted is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if wanted is int:
        return int(text) if text.lstrip("-").isdigit() else text
    if wanted == tuple[str, ...]:
        return [part for part in text.split(",") if part]
    if wanted == dict[str, str]:
        pairs = [part.partition("=") for part in text.split(",") if part]
        return {k: v for k, _, v in pairs} if all(equals for _, equals, _ in pairs) else text
    return text


def _types(kind: Any = Config, prefix: str = "") -> dict[str, Any]:
    """The type of each key, without its bounds."""
    types: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        key, of = f"{prefix}{field.name}", field.type
        if _is_section(of):
            types |= _types(of, f"{key}.")
        else:
            types[key] = get_args(of)[0] if get_origin(of) is Annotated else of
    return types
