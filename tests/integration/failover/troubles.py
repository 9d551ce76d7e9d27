"""What the first provider does, and what must come of it: by the error classes and the table of what is billed."""

from dataclasses import dataclass, field
from typing import Final, Literal

from contracts.statuses import Status

Maker = Literal["first", "second", "nobody"]

# Long enough that only those come to it that wait for it: on a busy machine, sixty at once take long.
DEADLINE_S: Final = 300

ALL: Final = ("replicate", "openai", "getimg", "wavespeed")
# Whom a job can be asked for; and where the answer is the picture, so that what goes wrong in between is a 500.
JOBS: Final = ("replicate", "wavespeed")
ANSWERS: Final = ("openai", "getimg")
# Where nothing shows our token: a purchase whose answer was lost may have been made, and nobody can say.
BLIND: Final = ("openai", "getimg", "wavespeed")
# Where the picture is a file that is fetched.
FILES: Final = ("replicate", "getimg", "wavespeed")


@dataclass(frozen=True)
class Fault:
    """What the sandbox is told: `times` None strikes at every purchase."""

    name: str
    times: int | None = None
    operation: str | None = None
    params: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """What became of one picture.

    `code`: why it failed, or why the second was asked. `booked`: for each purchase at the first whether our ledger says that
    it is billed (`undecided`: people have to say it). `charged`: for each job that the first accepted whether it bills it
    (None: it is still running). `second_charged`: the same at the second. `duplicate`: a purchase is marked as perhaps a second one.
    `amiss`: what is wrong with the books or the store.
    """

    status: Status
    maker: Maker
    code: str = ""
    booked: tuple[str, ...] = ()
    charged: tuple[bool | None, ...] = ()
    second_charged: tuple[bool | None, ...] = ()
    duplicate: bool = False
    adjusted: tuple[str, ...] = ()
    amiss: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """One row of the matrix; `ends` by the first providers. Who is in none of them has no such answer.

    `shut`: nobody gets to the provider. `lane`: what our own gate says of it.
    """

    name: str
    fault: Fault | None
    ends: dict[tuple[str, ...], End]
    family: str = "usual"
    deadline_s: int = DEADLINE_S
    shut: bool = False
    lane: Literal["", "paused", "broken"] = ""

    def end(self, first: str) -> End | None:
        """What must come of it when this provider does it."""
        return next((end for names, end in self.ends.items() if first in names), None)


def by_first(*booked: str, charged: tuple[bool, ...] = (True,), duplicate: bool = False) -> End:
    """The first makes it after all."""
    return End(Status.succeeded, "first", "", booked or ("yes",), charged, duplicate=duplicate)


def by_second(code: str, *booked: str, charged: tuple[bool, ...] = ()) -> End:
    """The second makes it, because of `code`."""
    return End(Status.succeeded, "second", code, booked or ("no",), charged, second_charged=(True,))


def fails(code: str, *booked: str, charged: tuple[bool | None, ...] = ()) -> End:
    """Nobody makes it, and the second is not asked."""
    return End(Status.failed, "nobody", code, booked or ("no",), charged)


def waits_for_people(*booked: str, charged: tuple[bool, ...] = ()) -> End:
    """It may have been bought, once or twice: nobody else is asked before that is known."""
    return End(Status.needs_review, "nobody", "outcome_unknown", booked, charged, duplicate=len(booked) > 1)


TWICE_UNKNOWN: Final = ("unknown", "undecided")
FREE, PAID = False, True

AT_THE_DOOR: Final = (
    Trouble("all is well", None, {ALL: by_first()}),
    Trouble("cannot be reached", None, {ALL: by_second("provider_unreachable")}, shut=True),
    Trouble("busy for a moment", Fault("rate_limited", 1, params={"retry_after": "1"}), {ALL: by_first()}),
    Trouble(
        "busy for too long",
        Fault("rate_limited", params={"retry_after": "600"}),
        {ALL: by_second("provider_busy")},
    ),
    Trouble("account is empty", Fault("insufficient_credit"), {ALL: by_second("provider_quota")}),
    Trouble("key is refused", Fault("unauthenticated"), {ALL: by_second("provider_credentials")}),
    Trouble("model is gone", Fault("model_gone"), {ALL: by_second("model_gone")}),
    Trouble("input is refused", Fault("input_refused"), {ALL: fails("provider_rejected_input")}),
    Trouble("paused by an operator", None, {ALL: by_second("lane_paused")}, lane="paused"),
    Trouble("breaker is open", None, {ALL: by_second("circuit_open")}, lane="broken"),
)

POLICY: Final = (
    Trouble(
        "words are refused",
        Fault("input_policy"),
        {JOBS: fails("policy_refused", charged=(FREE,)), ANSWERS: fails("policy_refused")},
    ),
    Trouble(
        "picture is refused",
        Fault("output_policy"),
        {
            ("replicate",): fails("policy_refused", "unknown", charged=(PAID,)),
            ("getimg",): fails("policy_refused", "no", charged=(FREE,)),
            ("openai", "wavespeed"): fails("policy_refused", "yes", charged=(PAID,)),
        },
    ),
    Trouble(
        "no picture in the answer",
        Fault("empty_output"),
        {
            JOBS: fails("policy_refused", "unknown", charged=(PAID,)),
            ANSWERS: fails("policy_refused", "yes", charged=(PAID,)),
        },
    ),
)

WHILE_IT_RUNS: Final = (
    Trouble(
        "interrupted once",
        Fault("interrupted", 1),
        {
            JOBS: by_first("no", "yes", charged=(FREE, PAID)),
            ANSWERS: by_first("unknown", "yes", charged=(FREE, PAID), duplicate=True),
        },
    ),
    Trouble(
        "interrupted always",
        Fault("interrupted"),
        {
            JOBS: by_second("provider_interrupted", "no", "no", "no", charged=(FREE, FREE, FREE)),
            ANSWERS: waits_for_people(*TWICE_UNKNOWN, charged=(FREE, FREE)),
        },
    ),
    Trouble(
        "model fails",
        Fault("model_error"),
        {
            JOBS: by_second("model_failed", charged=(FREE,)),
            ANSWERS: waits_for_people(*TWICE_UNKNOWN, charged=(FREE, FREE)),
        },
    ),
    Trouble(
        "picture is too large",
        Fault("out_of_memory"),
        {
            ("replicate",): fails("provider_rejected_input", charged=(FREE,)),
            ("wavespeed",): by_second("provider_interrupted", "no", "no", "no", charged=(FREE, FREE, FREE)),
            ANSWERS: waits_for_people(*TWICE_UNKNOWN, charged=(FREE, FREE)),
        },
    ),
    Trouble("stopped by itself", Fault("abort"), {("replicate",): by_second("job_canceled", charged=(FREE,))}),
    Trouble(
        "never ready",
        Fault("stuck"),
        {
            ("replicate",): fails("deadline_exceeded", "yes", charged=(PAID,)),
            ("wavespeed",): fails("deadline_exceeded", "unknown", charged=(None,)),
            ANSWERS: fails("deadline_exceeded", "unknown", charged=(PAID,)),
        },
        deadline_s=20,
    ),
)

LOST: Final = (
    Trouble(
        "answer is lost",
        Fault("lost_response", 1),
        {
            ("replicate",): by_first(),
            BLIND: by_first("unknown", "yes", charged=(PAID, PAID), duplicate=True),
        },
    ),
    Trouble(
        "all answers are lost",
        Fault("lost_response"),
        {("replicate",): by_first(), BLIND: waits_for_people(*TWICE_UNKNOWN, charged=(PAID, PAID))},
    ),
    Trouble(
        "answer to a dear purchase is lost",
        Fault("lost_response"),
        {("replicate",): by_first(), BLIND: waits_for_people("undecided", charged=(PAID,))},
        family="dear",
    ),
    Trouble(
        "gateway times out after it accepted",
        Fault("server_error", 1, params={"status": "504", "after": "accept"}),
        {
            ("replicate",): by_first(),
            BLIND: by_first("unknown", "yes", charged=(PAID, PAID), duplicate=True),
        },
    ),
    Trouble(
        "line breaks before it accepts",
        Fault("reset_before_accept", 1),
        {("replicate",): by_first(), BLIND: by_first("unknown", "yes", charged=(PAID,), duplicate=True)},
    ),
    Trouble(
        "server error",
        Fault("server_error"),
        {("replicate",): by_second("provider_unavailable"), BLIND: waits_for_people(*TWICE_UNKNOWN)},
    ),
)

PICTURES: Final = (
    Trouble("file is not there yet", Fault("delivery_404", 1), {FILES: by_first()}),
    Trouble("file is cut twice", Fault("cut_download", 2), {FILES: by_first()}),
    Trouble(
        "file never comes whole",
        Fault("cut_download"),
        {("getimg",): by_second("provider_unavailable", "yes", charged=(PAID,))},
    ),
    Trouble(
        "file has expired",
        Fault("delivery_404"),
        {FILES: by_second("output_expired", "yes", "yes", charged=(PAID, PAID))},
    ),
    Trouble("file is broken once", Fault("corrupt_image", 1), {FILES: by_first()}),
    Trouble(
        "file is always broken",
        Fault("corrupt_image"),
        {FILES: by_second("output_corrupt", "yes", "yes", charged=(PAID, PAID))},
    ),
    Trouble(
        "picture in the answer is broken",
        Fault("corrupt_image", 1, operation="create"),
        {("openai",): by_first("yes", "yes", charged=(PAID, PAID))},
    ),
    Trouble(
        "picture in the answer is always broken",
        Fault("corrupt_image", operation="create"),
        {("openai",): by_second("output_corrupt", "yes", "yes", charged=(PAID, PAID))},
    ),
)

TROUBLES: Final = (*AT_THE_DOOR, *POLICY, *WHILE_IT_RUNS, *LOST, *PICTURES)
