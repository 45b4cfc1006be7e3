"""Ask until there is a final answer, the tries are used up, or the deadline leaves no time for another."""

from lyftlearn_entrypoint.errors import Unavailable
from lyftlearn_entrypoint.fetch.url import HttpError, TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.message import Response

_BASE = 0.3  # seconds: five tries wait 2.3 s in all on average, 4.5 s at most
_TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504, 509)
# Codes that come with status 400 or 403 and pass by themselves (botocore 1.44 _retry.json and retries/standard.py).
_TRANSIENT_CODES = (
    "BandwidthLimitExceeded",
    "IDPCommunicationError",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "TransactionInProgressException",
)


def ask(what: str, deadline: "Deadline", send: "Callable[[], Response]", tries: int = 5) -> "Response":
    """The first answer that another try would not change. `what` says in a few words what is asked of whom.

    Raises `Unavailable` (69), and lets `TooLarge` through.
    """
    for attempt in range(tries):
        wait = 0.0
        try:
            reply = send()
        except TooLarge:
            raise
        except HttpError as error:
            last, finding = str(error), error.finding
            if error.final:
                raise Unavailable(
                    what + ": " + last, "Correct what it names; asking again would not help", finding=error.finding or "LL0716"
                ) from None
        else:
            code, finding = _passing(reply), "LL0717"
            if code is None:
                deadline.answered()
                return reply
            last = "status " + str(reply.status) + (" (" + code + ")" if code else "")
            wait = _retry_after(reply)
        if attempt + 1 < tries:
            last += ", and the deadline of " + format(deadline.seconds, ".3g") + " s leaves no time for another try (LYFTLEARN_DEADLINE)"
        count = str(attempt + 1) + (" try" if attempt == 0 else " tries")
        remedy = "Check the route, the security groups and the VPC endpoints from this subnet"
        failed = Unavailable(what + ": " + last + " (" + count + ")", remedy, finding=finding or "LL0705")
        if attempt + 1 < tries:
            deadline.try_again(attempt, failed, _BASE, at_least=wait)
    raise failed


def _passing(reply: "Response") -> "str | None":
    """The AWS error code, perhaps empty, of an answer that is worth another try; None of a final one."""
    if reply.status < 400:
        return None
    from lyftlearn_entrypoint.fetch.answers import aws_error

    code = aws_error(reply)[0]
    return code if reply.status in _TRANSIENT_STATUS or code in _TRANSIENT_CODES else None


def _retry_after(reply: "Response") -> float:
    """Seconds (RFC 9110, section 10.2.3); its date form is rare and left aside."""
    value = reply.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0.0
