"""Every bound of JobD, with its unit in its name and, behind it, what happens at it.

`docs/reference/limits.md` is generated from this file: one constant, one comment, one row.
"""

from __future__ import annotations

from typing import Final

# -- actors
MAILBOX_MESSAGES: Final = 1_000  # an ask fails with MailboxFull, a tell becomes a dead letter
MESSAGES_PER_TURN: Final = 64  # the actor yields to others and goes on in the next turn
DEAD_LETTERS_KEPT: Final = 1_000  # the oldest is dropped; the counter goes on
CRASHES_PER_MESSAGE: Final = (
    3  # then the message is a dead letter and the actor restarts without it
)
RESTARTS_IN_WINDOW: Final = 5  # then the supervisor escalates
RESTART_WINDOW_S: Final = 30  # the window of RESTARTS_IN_WINDOW
DEDUP_IDS_PER_PEER: Final = 10_000  # an older repeat is refused as expired
ENVELOPE_BYTES: Final = 4 * 1024 * 1024  # a larger frame closes the link
ENVELOPE_DEPTH: Final = 32  # a deeper value is refused
ASKS_PER_PEER: Final = 4_096  # further asks to another process fail with Busy
OUTBOX_ENVELOPES: Final = 100_000  # a process that takes none of them counts as lost
OUTBOX_BYTES: Final = 64 * 1024 * 1024  # likewise; what is relayed to it is refused with Busy
NODE_OUTBOX_BYTES: Final = (
    16 * 1024 * 1024
)  # that another node hasn't taken; further tells to it are dropped
ENVELOPES_PER_FRAME: Final = 16_384  # a frame with more is refused
HELLO_BYTES: Final = 4 * 1024  # a larger frame before a good hello is refused
HELLO_S: Final = 5  # a connection that has said no good hello by then is cut off
UNGREETED_PER_ADDRESS: Final = 256  # connections that have said no hello; further ones are cut off
CONNECTIONS: Final = 4_096  # of the cluster port; a further one is cut off
CLIENTS: Final = 1_000  # a further process that says hello is refused with Busy
DEDUP_ANSWER_BYTES: Final = 4 * 1024 * 1024  # of a peer's last answers; older repeats are refused
BLOB_FROM_BYTES: Final = 64 * 1024  # larger bytes in a call travel in a frame of their own
BLOB_BYTES: Final = 8 * 1024 * 1024  # of bytes in a call or an answer; refused with TooLarge
BLOBS_PER_MESSAGE: Final = 16  # likewise
WATCHES_PER_PEER: Final = 10_000  # a further watch by another process is refused with Busy
STREAMS_PER_PEER: Final = 256  # further streams to another process fail with Busy
NAMES: Final = 100_000  # of user actors; a further one is refused with Busy
NAMES_PER_PROCESS: Final = 10_000  # likewise
STREAM_ITEMS: Final = 64  # items a producer may be ahead of its consumer; then it waits
STREAM_BYTES: Final = 1024 * 1024  # likewise; the last item may go over it
HEARTBEAT_S: Final = 1  # between two pings of a link between processes
ENDED_ACTORS_KEPT: Final = 1_000  # of the oldest only that it ended is known then
PEER_TIMEOUT_S: Final = 5  # a process silent for longer is lost
TURN_WARN_MS: Final = 50  # a turn that took longer is reported with its stack
ASK_TIMEOUT_S: Final = 30  # the asker gets AskTimeout

# -- the store
KEY_BYTES: Final = 512  # refused with InvalidInput
VALUE_BYTES: Final = 64 * 1024  # refused with TooLarge
SPEC_BYTES: Final = 48 * 1024  # a job spec with its input; refused with TooLarge (413)
TXN_OPS: Final = 512  # refused with TooLarge
TXN_BYTES: Final = 1024 * 1024  # refused with TooLarge
BATCH_BYTES: Final = 1024 * 1024  # the next transactions wait for the next batch
PENDING_TXNS: Final = 16_384  # submits are refused with Busy (429)
RETAINED_BYTES: Final = 64 * 1024 * 1024  # of executed commands; who lags further takes a snapshot
SNAPSHOT_PAGE_BYTES: Final = 1024 * 1024  # of rows sent at once; the rest is in the next page
SNAPSHOT_KEEP_S: Final = 60  # nobody asked for its next page: the donor drops it
FEED_COMMITS: Final = 65_536  # a slower subscriber rescans the state
FEED_TAKE: Final = 4_096  # changes taken in one turn
RULES_RETRIES: Final = 8  # decisions taken again after a conflict; then the door says Busy

# -- the log on disk
SEGMENT_BYTES: Final = 16 * 1024 * 1024  # a new segment is begun
RECORD_BYTES: Final = 2 * TXN_BYTES + 64 * 1024  # refused; no batch reaches it
EVENT_LOG_BYTES: Final = (
    1024 * 1024 * 1024
)  # the oldest segment goes; a cursor below it is told of the gap
EVENT_LOG_AGE_S: Final = 24 * 3600  # likewise

# -- jobs
INLINE_OUTPUT_BYTES: Final = 48 * 1024  # a larger output becomes an artifact
OUTPUT_BYTES: Final = 64 * 1024 * 1024  # the attempt fails with reason `output`
SCHEMA_OUTPUT_BYTES: Final = 1024 * 1024  # a larger one fails its output_schema
TASKS: Final = 10_000  # refused with InvalidSpec
MEMBERS_PER_TXN: Final = 256  # task members made by one transaction
CRON_EXPRESSIONS: Final = 32  # of one schedule; refused with InvalidSpec
DETAIL_BYTES: Final = 512  # of the sentence behind a reason; the rest is cut off
ATTEMPT_SUMMARIES: Final = 8  # older summaries are in the events
REQUEUES: Final = 3  # a further lost attempt counts as a failure
TERMINAL_KEEP_S: Final = 3600  # then the record is evicted
TERMINAL_KEEP_JOBS: Final = 20_000  # the oldest terminal records are evicted first
CLOSED_HOURS_KEEP_S: Final = 30 * 24 * 3600  # an older job id is refused by the doors
ARGV_BYTES: Final = 128 * 1024  # refused with InvalidSpec
ENV_BYTES: Final = 128 * 1024  # refused with InvalidSpec
BACKFILL_FIRES: Final = 1_000  # in the range of one backfill; refused with InvalidInput
SCHEDULES: Final = 20_000  # a further one is refused with Busy (429)
SCHEDULE_BACKFILLS: Final = 8  # at a time, of a schedule; a further one is refused with Busy (429)
SCHEDULE_ON_TIME_S: Final = (
    60  # a fire later than this is overdue: `catchup` says what becomes of it
)
SCHEDULE_QUEUE: Final = 256  # fires of a schedule that wait; further ones are skipped
SCHEDULE_RECENT: Final = 16  # fires that its record keeps; older ones are in the events
SPEC_FILE_BYTES: Final = 1024 * 1024  # a spec file or body; refused with TooLarge (413)
SPEC_DEPTH: Final = 32  # refused with InvalidSpec
EVENT_DEPTH: Final = 32  # of an event's own data; refused with InvalidInput
SPEC_PROBLEMS: Final = 100  # the search for more ends
DURATION_MS: Final = 10 * 365 * 24 * 3600 * 1000  # a longer one is refused with InvalidSpec
CATCHUP_RUNS: Final = 256  # of one schedule made up for; older fires are missed
CAUSE_DEPTH: Final = 16  # causes behind a job or run; a longer chain is a loop, and refused
TRIGGERS: Final = 1_000  # further ones are refused with Busy (429)
EVENT_INPUT_BYTES: Final = 32 * 1024  # an event's larger data is left out of what it starts
EVENT_FILTERS: Final = 16  # paths of one filter; refused with InvalidSpec
CAUSE_REPEATS: Final = 3  # times that a chain passes one trigger or hook; then it is a loop, too
CONCURRENCY_KEYS: Final = 8  # of one job; refused with InvalidSpec
IDEMPOTENCY_KEYS_PER_TOKEN: Final = 100_000  # also of all specs; more are refused with Busy (429)
SECRET_BYTES: Final = 16 * 1024  # refused with TooLarge (413)
JOIN_TOKENS: Final = 100  # at a time; further ones are refused with Busy (429)
CLIENT_KEYS: Final = 1_000  # further ones are refused with Busy (429)
SECRETS: Final = 1_000  # further names are refused with Busy (429)
KV_KEYS: Final = 100_000  # further keys are refused with Busy (429)
IDEMPOTENCY_TTL_S: Final = 24 * 3600  # then the key may be used anew
MINTED_KEY_TTL_S: Final = 60  # of a key that the server minted, for a write that makes no job

# -- pipelines
PIPELINES: Final = 10_000  # further ones are refused with Busy (429)
PIPELINE_STEPS: Final = 1_000  # of one pipeline, `finally` included; refused with InvalidSpec
PIPELINE_BYTES: Final = 512 * 1024  # of a definition in its normal form; refused with TooLarge
DEFINITION_CHUNK_BYTES: Final = 48 * 1024  # of a definition in one key; the rest is in the next
EXPRESSION_BYTES: Final = 4 * 1024  # of `depends` and `if`; refused with InvalidSpec
EXPRESSION_DEPTH: Final = 32  # likewise
MAP_ITEMS: Final = 10_000  # of the list of a `map`; the step fails with reason `map`
RUNS_OPEN: Final = 10_000  # further ones are refused with Busy (429)
RUN_INPUT_BYTES: Final = 48 * 1024  # refused with TooLarge (413)
REUSED_RUNS: Final = 16  # a rerun of reruns may reuse steps of; then it is refused with Conflict
ADVANCE_OPS: Final = 400  # of one step of a run; the rest is in the next transaction
ADVANCE_BYTES: Final = 640 * 1024  # likewise; the last job may go over it
TERMINAL_KEEP_STEPS: Final = 50_000  # likewise, while there are more steps than this
TERMINAL_KEEP_RUNS: Final = 5_000  # the oldest ended runs are evicted first, with their jobs

# -- hooks and webhooks
HOOKS: Final = 200  # further ones are refused with Busy (429)
HOOK_BYTES: Final = 16 * 1024  # a hook as it is written; refused with TooLarge (413)
HOOK_EVENT_BYTES: Final = 16 * 1024  # an event's larger data is left out of what is sent
HOOK_PENDING: Final = 256  # deliveries of one hook; further events wait in the event log
HOOK_DELIVERIES_KEPT: Final = 100  # of one hook, ended; the oldest go
HOOK_SENDS: Final = 32  # at a time, of one node; further ones wait
HOOK_SENDS_EACH: Final = 4  # likewise, of one hook
HOOK_TIMEOUT_MS: Final = 30_000  # a longer timeout is refused with InvalidSpec
HOOK_REDIRECTS: Final = 3  # of one delivery; a further one fails it
HOOK_ANSWER_BYTES: Final = 16 * 1024  # of a receiver's answer; the rest is not read
WEBHOOK_BYTES: Final = 40 * 1024  # a larger body is refused with TooLarge (413)
WEBHOOK_WINDOW_S: Final = 300  # an older or later timestamp is refused (401)
WEBHOOK_HEADER_BYTES: Final = 4 * 1024  # of headers given to what it starts; the rest is left out
WEBHOOK_WAIT_MS: Final = 30_000  # a longer wait is refused with InvalidSpec

# -- job logs
LOG_LINE_BYTES: Final = 256 * 1024  # a longer line is cut into pieces, marked as such
LOG_ATTEMPT_BYTES: Final = 256 * 1024 * 1024  # the rest is dropped with a visible marker
LOG_CHUNK_BYTES: Final = 256 * 1024  # a new chunk file is begun
LOG_PAGE_BYTES: Final = 1024 * 1024  # a page of a log ends early and says where to go on
LOG_KEEP_BYTES: Final = 4 * 1024 * 1024 * 1024  # the oldest job logs go
LOG_KEEP_S: Final = 7 * 24 * 3600  # likewise
ARTIFACT_KEEP_S: Final = LOG_KEEP_S  # then the artifact goes
ARTIFACT_KEEP_BYTES: Final = (
    4 * 1024 * 1024 * 1024
)  # the oldest go, but none within TERMINAL_KEEP_S

# -- history
HISTORY_BATCH_ROWS: Final = 5_000  # the rest goes with the next batch
HISTORY_BATCH_BYTES: Final = 1024 * 1024  # likewise
HISTORY_WAIT_JOBS: Final = 60_000  # ended jobs kept for a history that is down; then unrecorded
QUERY_ROWS: Final = 10_000  # of one answer; the rest is cut off and `truncated` says so
QUERY_BYTES: Final = 1024 * 1024  # likewise
QUERY_S: Final = 60  # a longer timeout is refused
QUERY_SQL_BYTES: Final = 64 * 1024  # refused with TooLarge
QUERIES_WAITING: Final = 16  # further queries fail with MailboxFull
HISTORY_MEMORY_MIB: Final = 128  # what the database may take; a query over it fails
HISTORY_PROCESS_MIB: Final = 768  # what its process may allocate; then what asked for more fails
HISTORY_SPILL_BYTES: Final = 1024 * 1024 * 1024  # of queries on disk; a query over it fails
HISTORY_KEEP_BYTES: Final = 10 * 1024 * 1024 * 1024  # the oldest days go

# -- audit
AUDIT_QUEUE: Final = 10_000  # records not yet written; further changes are refused with Busy
AUDIT_REFUSALS: Final = 60  # kinds of refusals told apart in a minute; the rest is counted as one
AUDIT_SEGMENT_BYTES: Final = 4 * 1024 * 1024  # a new segment is begun
AUDIT_KEEP_BYTES: Final = 1024 * 1024 * 1024  # the oldest segment goes; the trail says so
AUDIT_KEEP_S: Final = 365 * 24 * 3600  # likewise

DISK_LOGS_PERCENT: Final = 85  # of the data's file system in use: the oldest job logs go
DISK_PERCENT: Final = 95  # likewise: nothing new is taken on (ReadOnly) until less is in use

# -- doors
BODY_BYTES: Final = SPEC_FILE_BYTES  # 413
HTTP_CONNECTIONS: Final = 6_000  # also 500 below the open files allowed; a further one gets 503
HEAD_TIMEOUT_S: Final = 10  # of a request's head, or a new connection's first; then it is cut off
BODY_TIMEOUT_S: Final = 30  # of a request's body; then Busy (429)
STALLED_S: Final = 60  # who takes nothing of an answer for so long is cut off
REQUESTS_PER_S: Final = 5_000  # of a token, or of an address without one; then Busy (429)
REQUESTS_BURST: Final = 10_000  # at once, after a pause
REFUSED_PER_S: Final = 5  # requests of an address without a valid token: 401; then Busy (429)
REFUSED_BURST: Final = 50  # at once, after a pause
SPANS_WAITING: Final = 8_192  # for the OTLP endpoint; more are dropped and counted
SSE_STREAMS: Final = 5_000  # a further stream is refused with Busy (429)
DOOR_REQUESTS: Final = 8_192  # under way over the wire; further ones are refused with Busy
TAIL_EVENTS: Final = 256  # a slower listener reads on from the event log
LIST_ITEMS: Final = 500  # a larger `limit` is refused
WAIT_S: Final = 60  # a longer `wait` is refused
