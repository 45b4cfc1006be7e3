# canary: an exception that nobody catches: traceback on stderr, exit code 1
# start: own
# code: 1
import pandas as pd


def load(table):
    return table["amount"].sum()


print("loading", flush=True)
load(pd.DataFrame({"ammount": [1]}))
