# canary: hyperparameters as defaults of arguments, from the ConfigMap's files or SageMaker's one, and from variables
import argparse
import json
import os
from pathlib import Path

directory = Path(os.environ.get("HYPERPARAMETERS_PATH", "/etc/hyperparameters"))
given = {path.name: path.read_text() for path in directory.iterdir() if not path.name.startswith(".")}
single = Path(os.environ.get("LYFTLEARN_HYPERPARAMETERS_FILE", "/opt/ml/input/config/hyperparameters.json"))
if single.exists():
    print("differ:", sorted(set(given.items()) ^ set(json.loads(single.read_text()).items()))[:3])
else:
    print("differ: []")
parser = argparse.ArgumentParser()
parser.add_argument("--C", type=float, default=given["C"])
parser.add_argument("--seed", type=int, default=given["seed"])
parser.add_argument("--test-size", type=float, default=given["test_size"])
parser.add_argument("--unit", default=os.environ.get("SCREENING_MEAN_RADIUS_UNIT"))
options = parser.parse_args()
print(options, len(given), json.loads(given["solver"])["options"], len(given["notes"]))
print(sum(float(value) for name, value in sorted(given.items()) if name.endswith(".weight")))
