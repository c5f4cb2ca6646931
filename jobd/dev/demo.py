"""Demo jobs of real work over some folders: one that works, one in ten tasks, one that retries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

__all__ = ["ENDLESS", "demo_jobs"]

ENDLESS: Final = "endless"  # the name of the job that is there to be cancelled

_CHECKSUM: Final = """
set -eu
echo "compressing $(find {last} -type f | wc -l) files of {last}/"
tar -czf "$OLDPWD/{last}.tgz" {last}
cd "$OLDPWD"
sha256sum {last}.tgz
printf '{{"bytes": %s, "sha256": "%s"}}\\n' \\
    "$(wc -c <{last}.tgz)" "$(sha256sum {last}.tgz | cut -d' ' -f1)" >"$JOBD_OUTPUT"
"""
_COUNT: Final = """
set -eu
mine=$(find {all} -name '{pattern}' | sort |
    awk -v n="$JOBD_TASK_COUNT" -v i="$JOBD_TASK_INDEX" 'NR % n == i')
echo "task $JOBD_TASK_INDEX counts:" $mine
cat /dev/null $mine | wc -w | tee "$JOBD_OUTPUT"
"""
_FLAKY: Final = """
echo "attempt $JOBD_ATTEMPT"
[ "$JOBD_ATTEMPT" -ge 3 ] || { echo "not yet" >&2; exit 1; }
"""


def demo_jobs(root: Path, parts: tuple[str, ...], pattern: str) -> dict[str, dict[str, Any]]:
    """Return specs by what they do. They work on `parts` of `root`, the last one a folder."""
    here, last = f"cd '{root}'\n", parts[-1]
    count = here + _COUNT.format(all=" ".join(parts), pattern=pattern)
    return {
        f"compress and checksum {last}/": {
            "name": "checksum",
            "shell": here + _CHECKSUM.format(last=last),
        },
        "count its words in ten tasks": {"name": "count-words", "shell": count, "tasks": 10},
        "fail twice, then succeed": {
            "name": "flaky",
            "shell": _FLAKY,
            "retry": {"max_attempts": 3, "delay": "500ms", "jitter": "none"},
        },
        "run for an hour (cancelled)": {"name": ENDLESS, "cmd": "sleep", "args": ["3600"]},
    }
