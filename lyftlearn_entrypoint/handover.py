"""The last step before exec: what was planned is carried out, and what stays behind (note, relay, trace) is left in its order.

A module is loaded before the user is switched, who need not be able to read our files, and only where it has something to do.
"""

import _thread
import time

from lyftlearn_entrypoint.context import KUBERNETES, LOCAL, STUDIO
from lyftlearn_entrypoint.span import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.boot import Start
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.settings import Settings


def hand_over(start: "Start", launch: "Launch", settings: "Settings") -> None:
    """All that is left before exec. Raises StartError."""
    if start.context.name == STUDIO:
        from lyftlearn_entrypoint.notice import leave_notice

        if start.passed:
            import lyftlearn_entrypoint.banner
    if settings["snapshot"]:
        from lyftlearn_entrypoint.snapshot.step import Snapshot

        snapshot = Snapshot(settings, start.process.environ, start.files, start.log, start.context.name)
    if start.relay or launch.relay or launch.gateway:
        from lyftlearn_entrypoint.relay.leave import begin

        if start.relay is None:
            import lyftlearn_entrypoint.relay.report  # noqa: F401

            if launch.relay and not _thread._count():  # noqa: SLF001  whoever had the port may have ended since
                start.leave(settings, launch.user if launch.switch else None, again=True)
    # A pod's start with nothing to do does not even load the module.
    files = launch.volumes or launch.hyperparameters or launch.names_hyperparameters or launch.model or launch.code
    if launch.switch or launch.make_home or files:
        from lyftlearn_entrypoint.apply import apply

        with start.span("apply"):
            kept = apply(launch, start.files, start.log, start.forgive, lambda name: Span(start.parts, name))
        if start.saver is not None:
            start.saver.go(kept)
    if start.context.name == STUDIO:
        leave_notice(launch.env, start.passed, launch.user if launch.switch else None)
    if start.relay or launch.gateway:
        times = [("total", start.began, time.monotonic()), *start.spans, *start.fetched]
        begin(start.relay, launch, times, start.context.name, settings["statsd_tags"], start.log)
    if start.context.name not in (KUBERNETES, LOCAL):
        elapsed = round((time.monotonic() - start.began) * 1000)
        who = " as " + str(launch.user) if launch.switch else ""
        start.log.info(
            "start: " + launch.command.argv[0] + who + " in " + start.context.name + " after " + str(elapsed) + " ms",
            step="exec",
            milliseconds=elapsed,
        )
    if launch.switch:  # on the way to a file there may be what only root could pass
        start.program = start.process.locate(launch.command.argv[0], launch.env.get("PATH"), None, launch.path_staged)
    if settings["snapshot"]:
        with start.span("snapshot"):
            snapshot.take(start.process, launch, start.program)
    start.write_trace(0, launch.command.argv[0])
