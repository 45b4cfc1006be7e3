"""`python -m tests.parity.canary [OPTIONS] [PROGRAM...]`: exit code 1 when anything differs (docs/canary.md)."""

import argparse
import os
import sys

from lyftlearn_local.children import DidNotStart
from lyftlearn_local.confidant.venv import CannotBuild
from lyftlearn_local.containers.running import CannotRun
from lyftlearn_local.demo.places import PLACES
from lyftlearn_local.demo.telling import Telling
from lyftlearn_local.demo.ways import Failed
from tests.parity.canary import canary
from tests.parity.canary.programs import IMAGES, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="canary", description="Users' programs, unchanged, in every place; compared with the pod.")
    parser.add_argument("--kind", choices=IMAGES, default="base", help="whose programs: those for images/KIND; default base")
    parser.add_argument("--image", metavar="TAG", help="another image than lyftlearn-KIND:latest")
    parser.add_argument("--in", dest="places", action="append", choices=PLACES, help="only there, and in the pod")
    parser.add_argument("--show", action="store_true", help="print what each program said in each place")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="file names in tests/parity/programs; default all")
    options = parser.parse_args()
    programs = [one for one in load() if options.kind in one.images and (not options.programs or one.name in options.programs)]
    if not programs or {*options.programs} - {one.name for one in programs}:
        parser.error(f"no such program for images/{options.kind}")
    telling = Telling(dict(os.environ))
    try:
        with canary.scene(telling.say, telling.environ, options.image or f"lyftlearn-{options.kind}:latest") as made:
            seen = canary.see(made, programs, tuple(options.places or PLACES))
    except (Failed, CannotRun, DidNotStart, CannotBuild) as error:
        print(f"canary: {error}", file=sys.stderr)
        return 1
    if options.show:
        for place, outputs in seen.outputs.items():
            for name, output in outputs.items():
                for stream, text in output.items():
                    print(f"---- {name} in {place}: {stream}\n{text.rstrip()}")
    different = 0
    for program in programs:
        told = seen.differences(program)
        different += bool(told)
        print("\n".join(told) if told else f"{program.name}: the same in each place")
    telling.say(f"{len(programs) - different} of {len(programs)} programs are the same in each place")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
