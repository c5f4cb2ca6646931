"""Demo jobs of real work over some folders: one that works, one in ten tasks, one that retries.

And a pipeline, `nightly-report`, of command steps: fetch, transform each item, validate, publish.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

__all__ = ["ENDLESS", "PIPELINE", "demo_jobs"]

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

# The nightly report as commands: a check that fails is passed over, the report goes out.
PIPELINE: Final[dict[str, Any]] = {
    "name": "nightly-report",
    "inputs": {"properties": {"day": {"type": "string", "default": "today"}}},
    "jobs": {
        "fetch": {
            "type": "command",
            "shell": 'echo "rows of $DAY"; echo \'{"rows": [3, 4, 5]}\' >"$JOBD_OUTPUT"',
            "environment": {"DAY": "${inputs.day}"},
        },
        "transform": {
            "type": "command",
            "shell": 'echo $((ROW * 10)) | tee "$JOBD_OUTPUT"',
            "environment": {"ROW": "${item}"},
            "map": {"over": "${steps.fetch.output.rows}", "parallelism": 2},
        },
        "validate": {
            "type": "command",
            "shell": "echo 'no schema to hold it to' >&2; exit 1",
            "needs": ["transform"],
            "continue_on_failure": True,
        },
        "publish": {
            "type": "command",
            "shell": 'cat "$JOBD_INPUT" | tee "$JOBD_OUTPUT"',
            "needs": ["validate"],
            "input_from": {"job": "transform"},
            "on_failure": {"type": "retry", "max_attempts": 3, "backoff_ms": 5000},
        },
    },
    "outputs": {"report": "${steps.publish.output}"},
}


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
