"""POST to what users name, within the policy of URLs: the one place that connects outwards.

Names are resolved here, judged, and connected to by the judged addresses: the connector is given
these and never asks again. Nothing of the environment's proxies, cookies or compression is used.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from actors import limits
from actors.core.fetch_port import Outgoing, Received
from actors.core.url_policy import Networks, Url, check_addresses, parse_url, redirected
from actors.errors import InvalidInput, JobdError

__all__ = ["HttpFetch"]

_RESOLVE_S: Final = 5.0
_SHOWN: Final = 200


class _Judged(AbstractResolver):
    """Resolves names and refuses those of which one address is refused."""

    def __init__(self, allowed: Networks) -> None:
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses that are connected to. Raises InvalidInput, OSError."""
        async with asyncio.timeout(_RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, family=family
            )
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        check_addresses(host, addresses, self._allowed)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""


class HttpFetch:
    """Implements FetchPort. Each send has a connection of its own, which ends with it."""

    def __init__(self, allowed: Networks, *, version: str) -> None:
        self._allowed = allowed
        self._agent = f"JobD/{version}"
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, outgoing: Outgoing, answer: Callable[[Received], None]) -> None:
        """Send within the time of `outgoing`, redirects and resolution included."""
        task = asyncio.get_running_loop().create_task(self._send(outgoing, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way; nobody is told."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, outgoing: Outgoing, answer: Callable[[Received], None]) -> None:
        try:
            async with asyncio.timeout(outgoing.timeout_ms / 1000):
                received = await self._follow(outgoing)
        except JobdError as error:
            received = Received(0, error.message)
        except TimeoutError:
            received = Received(0, f"no answer within {outgoing.timeout_ms} ms")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            received = Received(0, _cause(error))
        answer(received)

    async def _follow(self, outgoing: Outgoing) -> Received:
        url = first = parse_url(outgoing.url)
        for _ in range(limits.HOOK_REDIRECTS + 1):
            private = outgoing.private_headers if url.origin == first.origin else {}
            headers = {**outgoing.headers, **private, "User-Agent": self._agent}
            received, location = await self._post(url, headers, outgoing.body)
            onward = redirected(url, received.status, location)
            if onward is None:
                return received
            url = onward
        return Received(0, f"redirected more than {limits.HOOK_REDIRECTS} times")

    async def _post(
        self, url: Url, headers: dict[str, str], body: bytes
    ) -> tuple[Received, str | None]:
        if url.is_address:  # the connector would not ask the resolver
            check_addresses(url.host, [url.host], self._allowed)
        connector = aiohttp.TCPConnector(
            resolver=_Judged(self._allowed), force_close=True, use_dns_cache=False, limit=1
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            ) as session,
            session.post(url.text, data=body, headers=headers, allow_redirects=False) as response,
        ):
            said = await response.content.read(limits.HOOK_ANSWER_BYTES)
            text = " ".join(said.decode(errors="replace").split())[:_SHOWN]
            detail = "" if 200 <= response.status < 300 else f"{response.status} {text}".strip()
            return Received(response.status, detail), response.headers.get("Location")


def _cause(error: Exception) -> str:
    """What went wrong, without the type's noise; a refusal within is what counts."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, InvalidInput):
            return inner.message
        inner = inner.__cause__ or inner.__context__
    return f"{type(error).__name__}: {error}"
