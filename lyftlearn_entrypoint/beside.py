"""The processes that a start leaves beside the program. They are forked before anything is fetched: relay/leave.py says why so early."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.boot import Start
    from lyftlearn_entrypoint.settings import Settings


def leave(start: "Start", settings: "Settings", user: "User | None", again: bool) -> None:
    """Fork those that are wanted, for a program of `user` (None: whoever this is). `again` is for what could not be the first time."""
    if "statsd" in start.steps and settings["statsd_gateway"]:
        with start.span("relay"):
            _relay(start, settings, user, again)
    if start.warm and not again:
        from lyftlearn_entrypoint.warm import saver

        with start.span("saver"):
            start.saver = saver.leave(user, start.log)


def _relay(start: "Start", settings: "Settings", user: "User | None", quiet: bool) -> None:
    from lyftlearn_entrypoint.adapt import statsd

    gateway = statsd.relay(settings, start.context.name)
    if gateway is None:
        return
    from lyftlearn_entrypoint.relay.leave import Order, leave

    order = Order(*gateway, start.context.name, settings["statsd_tags"], start.process.environ.get("LYFTLEARN_ROOT", ""), user)
    start.relay = leave(order, start.files.real(settings["statsd_socket"]), start.log, quiet)
