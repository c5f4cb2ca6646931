"""Schemathesis finds no answer of a real node that its openapi.json does not say.

It makes requests up from the document, right ones and wrong ones, and holds the answers against it:
statuses, headers, types, credentials, what is gone after it was deleted. `schemathesis.toml` says
what is left out and why.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.node_process import NodeProcess
from tests.parts import need

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / ".venv" / "schemathesis" / "bin" / "schemathesis"
CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 10  # of each operation, beside those that cover each bound of its document


@pytest.mark.timeout(400)
def test_answers_are_what_the_document_says(tmp_path: Path) -> None:
    need("schemathesis", TOOL.exists(), "scripts/setup schemathesis installs it")
    node = NodeProcess(tmp_path / "data")
    node.program = ("-m", "tests.conformance.http.unhurried_node")
    node.start()
    try:
        # What a fuzzer makes up is not run on anybody's machine: whoever would run it stands still.
        supervisor = node.supervisor_pid()
        assert supervisor is not None
        os.kill(supervisor, signal.SIGSTOP)
        job_id = node.submit(name="subject", cmd="true", trigger={"delay": "1h"})
        spec = {"name": "subject", "type": "command", "cmd": "true", "trigger": {"every": "1h"}}
        node.call("PUT", "/schedules/subject", spec)
        done = subprocess.run(
            [
                *(TOOL, "--config-file", CONFIG, "run", f"{node.url}/api/v1/openapi.json"),
                *("--header", f"Authorization: Bearer {node.token}"),
                *("--generation-deterministic", "--max-examples", str(EXAMPLES)),
                *("--continue-on-failure", "--request-timeout", "20", "--no-color"),
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUTF8": "1", "JOBD_TEST_JOB": job_id},
        )
        sys.stdout.write(done.stdout)
        assert done.returncode == 0
        assert "Authentication failed" not in done.stdout, "nothing was tested behind the guard"
        tested = re.search(r"Tested: (\d+)", done.stdout)
        assert tested is not None and int(tested[1]) >= 38
        assert "Traceback" not in node.log()
    finally:
        node.end()
