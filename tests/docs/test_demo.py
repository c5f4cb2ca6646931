"""What `scripts/run` runs: the demo jobs end as they should, and what it says to try works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT
from tests.docs.session import environment

ENDED = {
    "checksum": "succeeded  attempt 1",
    "count-words": "succeeded  attempt 0",
    "flaky": "succeeded  attempt 3",
    "endless": "cancelled  attempt 1",
}


def test_the_demo(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/demo.py", "--data", str(tmp_path / "data")]
    demo = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's group of processes, for its Ctrl-C
    )
    assert demo.stdout
    said = ""
    try:
        for line in demo.stdout:
            said += line
            if line.startswith("Ctrl-C"):
                break
        for name, ended in ENDED.items():
            assert re.search(rf"^{name} +{ended}  ", said, re.MULTILINE), said
        assert "nightly-report succeeded_with_warnings  passed over: validate" in said
        suggested = re.findall(r"^    (?!source )(.+)$", said, re.MULTILINE)
        assert len(suggested) > 5, said
        tried = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(suggested)],
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert tried.returncode == 0, tried.stderr
        assert "README.md" in tried.stdout
        os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(20) == 0
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
        demo.stdout.close()
