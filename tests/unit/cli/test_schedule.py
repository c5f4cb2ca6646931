"""jobctl schedule, and schedules by job create, apply and diff."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Jobctl

FILE = """name: nightly
type: command
cmd: backup
trigger: {cron: "30 2 * * *", timezone: Europe/Berlin}
"""


def test_a_schedule_is_made_seen_and_steered(jobctl: Jobctl) -> None:
    made = jobctl(
        "job", "create", "nightly", "--cron", "30 2 * * *", "--timezone", "Asia/Tokyo", "--", "true"
    )
    assert (made.code, made.out) == (0, b"schedule/nightly\n")
    listed = jobctl("schedule", "list").out.decode()
    assert "active  30 2 * * * Asia/Tokyo  2027-01-15T17:30:00.000Z" in listed
    assert "nightly" in jobctl("schedule", "upcoming", "--limit", "1").out.decode()
    preview = jobctl("schedule", "preview", "nightly", "--count", "1").out.decode()
    assert "2027-01-16T02:30:00+09:00" in preview
    assert "no clock change" in jobctl("schedule", "preview", "nightly", "--around-dst").err
    assert jobctl("schedule", "pause", "nightly").code == 0
    assert "why: it is paused" in jobctl("schedule", "get", "nightly").out.decode()
    job_id = jobctl("schedule", "fire", "nightly", "--input", "[1]").out.decode().strip()
    assert f"job/{job_id}" in jobctl("job", "get", job_id, "-o", "name").out.decode()
    assert "manual" in jobctl("schedule", "get", "nightly").out.decode()
    assert jobctl("schedule", "resume", "nightly").code == 0
    times = ("--from", "2027-01-01T00:00:00Z", "--to", "2027-01-03T00:00:00Z")
    assert jobctl("schedule", "backfill", "nightly", *times).code == 0
    assert jobctl("schedule", "delete", "nightly").code == 0
    assert jobctl("schedule", "get", "nightly").code == 66


def test_a_schedule_is_no_job_to_wait_for(jobctl: Jobctl) -> None:
    assert jobctl("job", "create", "n", "--every", "5m", "--wait", "--", "true").code == 64
    assert jobctl("run", "--cron", "* * * * *", "--", "true").code == 64
    wrong = jobctl("job", "create", "n", "--cron", "* * * *", "--", "true")
    assert (wrong.code, "expected 5 fields" in wrong.err) == (78, True)


def test_a_file_is_put_whenever_it_is_applied(tmp_path: Path, jobctl: Jobctl) -> None:
    file = tmp_path / "nightly.yaml"
    file.write_text(FILE)
    results = []
    for text in (FILE, FILE, FILE.replace("backup", "restore"), FILE):
        file.write_text(text)
        results.append(jobctl("apply", "-f", str(file)).out.decode().splitlines()[1].split()[0])
    assert results == ["created", "unchanged", "changed", "changed"]
    assert jobctl("apply", "-f", str(file), "-o", "name").out == b"schedule/nightly\n"
    assert jobctl("diff", "-f", str(file)).code == 0
    file.write_text(FILE.replace("30 2", "0 3"))
    shown = jobctl("diff", "-f", str(file))
    assert (shown.code, "+    - 0 3 * * *" in shown.out.decode()) == (1, True)
    assert jobctl("schedule", "put", "nightly", "-f", str(file)).code == 0
    assert jobctl("diff", "-f", str(file)).code == 0


def test_why_names_what_started_a_job_or_why_there_is_none(jobctl: Jobctl) -> None:
    jobctl("job", "create", "nightly", "--cron", "30 2 * * *", "--", "true")
    why = jobctl("job", "why", "nightly")
    assert (why.code, "`jobctl schedule get nightly` says why" in why.err) == (66, True)
    job_id = jobctl("schedule", "fire", "nightly").out.decode().strip()
    assert "started by schedule nightly@2027-01-15T08" in jobctl("job", "why", job_id).out.decode()
