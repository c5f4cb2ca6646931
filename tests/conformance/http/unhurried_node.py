"""A node that refuses nobody for their rate: a fuzzer sends more wrong credentials than anybody."""

from actors import limits
from jobd.__main__ import main

limits.REFUSED_BURST = limits.REQUESTS_BURST = 10_000_000  # type: ignore[misc]
main()
