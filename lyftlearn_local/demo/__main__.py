"""`python -m lyftlearn_local.demo [--docker]`: runs it all, prints what was seen; exit code 1 when anything differs."""

import argparse
import os
import signal
import sys
from pathlib import Path

from lyftlearn_local.children import DidNotStart
from lyftlearn_local.confidant.venv import CannotBuild
from lyftlearn_local.containers.engine import CannotRun
from lyftlearn_local.demo.in_containers import InContainers
from lyftlearn_local.demo.on_this_machine import OnThisMachine
from lyftlearn_local.demo.telling import Telling
from lyftlearn_local.demo.ways import Failed
from lyftlearn_local.job import private_mounts
from lyftlearn_local.run import Unusable

_IMAGE = "lyftlearn-base:latest"


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description="One unchanged program: as a pod, a training job, a notebook.")
    parser.add_argument("--examples", type=Path, default=Path("examples"), help="directory of train.py and serve.py")
    parser.add_argument("--no-mounts", action="store_true", help="as where the kernel allows no private mount namespace")
    parser.add_argument("--docker", action="store_true", help="in containers of one image, in every context")
    parser.add_argument("--image", metavar="TAG", default=_IMAGE, help=f"with --docker: the image; default {_IMAGE}")
    options = parser.parse_args()
    if options.image != _IMAGE and not options.docker:
        parser.error("--image goes with --docker")
    signal.signal(signal.SIGTERM, _interrupt)  # as Ctrl-C: what was started is taken away
    telling, examples = Telling(dict(os.environ)), options.examples.resolve()
    demo: InContainers | OnThisMachine
    if options.docker:
        demo = InContainers(telling, examples, options.image)
    else:
        demo = OnThisMachine(telling, examples, not options.no_mounts and private_mounts())
    try:
        same = demo.run()
    except (Failed, CannotRun, Unusable, DidNotStart, CannotBuild) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        telling.say("interrupted; nothing of it is left")
        return 128 + int(*interrupt.args or (signal.SIGINT,))
    telling.say("the same each way" if same else "DIFFERENT: see the lines so marked")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
