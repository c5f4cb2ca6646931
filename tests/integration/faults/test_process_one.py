"""A node that is process 1 of its namespace, as in a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import urllib.request
from pathlib import Path

from tests.integration.node_process import NodeProcess, until
from tests.parts import need

UNSHARED = """
import os, sys
own = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
os.execvp("unshare", [*own, sys.executable, "-m", "jobd", *sys.argv[1:]])
"""


def has_recorded(node: NodeProcess) -> bool:
    address = json.loads((node.data / "run" / "node.json").read_text())["metrics"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        (rows,) = re.findall(r"^jobd_history_rows_total (\S+)$", answer.read().decode(), re.M)
    return float(rows) > 0


def test_jobs_run_and_are_recorded_and_a_signal_ends_it(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    need("root", os.geteuid() == 0 and unshare is not None, "only root makes a pid namespace")
    node = NodeProcess(tmp_path / "data")
    node.program = ("-c", UNSHARED)
    try:
        node.start()
        assert node.ended(node.submit(shell="sleep 0.1 & exit 0"))["state"] == "succeeded"
        until(lambda: has_recorded(node))
        (inner,) = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
        assert json.loads((node.data / "run" / "node.json").read_text())["pid"] == 1
        os.kill(int(inner), signal.SIGTERM)
        assert node.exit_code() == 0
    finally:
        node.end()
