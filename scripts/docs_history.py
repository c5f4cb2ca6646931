"""The page of the history's tables, from `actors/backends/history/schema.py`."""

from __future__ import annotations

from actors.backends.history.schema import TABLES

__all__ = ["history_page"]

HEAD = """# Tables of the history

What `jobctl sql` and `POST /api/v1/query` see of [the history](../operations/history.md): {names}.
Times are UTC. `jobctl sql "describe jobs"` says the same of a live node.

```console
$ jobctl sql "select name, count(*) as runs, quantile_cont(run_ms, 0.95) as p95_ms from jobs
              where finished_at > now() - interval 1 day group by name order by runs desc"
$ jobctl sql -o csv 'select id, reason, detail from jobs where name = $1' -p backup
```

A query is one SELECT (`describe` and `show tables` too). It reads these tables and nothing else: no
files, no network, no settings, and of the table functions only `range`, `unnest` and the like. It
is interrupted at its timeout, and its answer is cut at `max_rows` or `QUERY_BYTES`, which
`truncated` says. It needs a token with the scope `admin`.
"""


def history_page() -> str:
    """Return docs/reference/history.md."""
    names = ", ".join(f"`{table.name}`" for table in TABLES)
    page = HEAD.format(names=names)
    for table in TABLES:
        page += f"\n## {table.name}\n\n{table.doc}\n\n| column | type | is |\n|---|---|---|\n"
        for column in table.columns:
            page += f"| `{column.name}` | `{column.type}` | {column.doc} |\n"
    return page
