"""The tables of a run: the names, types and units of their columns.

The one place that knows them. The recorder writes these tables, the run folder keeps
them as Parquet, and every step of the analysis reads them by the names given here.

A *sample* is one arrival: one request as a user would have felt it. An *effect* is one
thing that a save or a mail promised (a stored value, an on-save script, a delivered
mail) and what became of it.

Times are seconds from the start of the measured window, so that the warm-up is negative
and ``scheduled_s >= 0`` selects what counts. What can be derived is not stored: the
response time is ``done_s - scheduled_s``; the save id and the trace id follow from the
run's key and ``seq`` (see ``scenarios.tokens``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pyarrow as pa

#: Operations in the order in which every table and figure shows them.
OPERATIONS: Final = ("read_case", "send_email", "send_batch", "save_standard", "save_custom", "run_script")

#: Those that write custom fields: the first to suffer when storage does.
WRITES_FIELDS: Final = ("save_custom", "run_script")

#: What became of a request. ``ok`` alone enters the latency quantiles; the rest are failures.
#: ``aborted`` was sent and not finished when the run stopped: neither a success nor a failure.
OUTCOMES: Final = ("ok", "http_error", "timeout", "refused", "conflict", "invalid", "aborted")
FAILURES: Final = ("http_error", "timeout", "refused", "conflict", "invalid")

#: What became of an effect, by kind. The first of each is the good one; ``unverified`` means
#: that nobody looked (never silent, never counted as good).
EFFECT_OUTCOMES: Final = {
    "value": ("identical", "lost", "partial", "foreign", "failed_but_saved", "superseded", "unverified"),
    "script": ("once", "missed", "doubled", "late", "out_of_order", "unverified"),
    "mail": ("once", "missed", "doubled", "late", "wrong_recipient", "unverified"),
}

#: Outcomes that say nothing: covered by another save, or nobody looked. Never good, never broken.
UNDECIDED: Final = ("superseded", "unverified")

#: What the results of another tool may not tell: what was planned and when each request was due; how the
#: generator did; which cohort a request belongs to; what became of its effects. See ``analysis.origin``.
Fact = Literal["schedule", "generator", "cohorts", "effects"]

#: name -> Arrow type of the samples table. ``dictionary`` is a dictionary-encoded string.
SAMPLE_COLUMNS: Final = {
    "seq": "uint32",  # number of the arrival in the schedule, the same for any number of workers
    "worker": "uint16",
    "arm": "dictionary",  # "" unless one run drives two targets at once
    "tenant": "dictionary",
    "custom_fields": "uint16",  # of the tenant's cohort
    "operation": "dictionary",
    "scheduled_s": "float64",
    "sent_s": "float64",
    "done_s": "float64",
    "status": "uint16",  # HTTP status, 0 where no response came
    "outcome": "dictionary",
    "detail": "dictionary",  # a closed set of short texts; "" for ok
    "bytes_out": "uint32",
    "bytes_in": "uint32",
}

#: name -> Arrow type of the effects table.
EFFECT_COLUMNS: Final = {
    "seq": "uint32",  # of the save or mail that promised it
    "tenant": "dictionary",
    "custom_fields": "uint16",
    "operation": "dictionary",
    "kind": "dictionary",  # value, script, mail
    "name": "dictionary",  # which script; "" for values and single mails
    "expected": "uint16",
    "seen": "uint16",
    "due_s": "float64",  # after this an effect is late
    "first_seen_s": "float64",  # NaN where it was never seen
    "delay_s": "float64",  # from the acknowledgement, by the target's clock where it tells; NaN if unknown
    "outcome": "dictionary",
    "arm": "dictionary",  # as in the samples
}


def arrow_schema(columns: dict[str, str]) -> pa.Schema:
    """The Arrow schema of one of the tables above; dictionary columns hold up to 32,767 names."""
    import pyarrow as pa

    types = {"dictionary": pa.dictionary(pa.int16(), pa.string())}
    return pa.schema([(name, types.get(kind) or getattr(pa, kind)()) for name, kind in columns.items()])
