# canary: arguments that are empty, or have several lines
# start: own
# args: ["--sql", "select 1\n  from t\n", "", " ", "--", "\n"]
# not in: studio: ContainerArguments of Studio take neither, and there is no other way to start a command there
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--sql")
parser.add_argument("rest", nargs="*")
print(parser.parse_args())
