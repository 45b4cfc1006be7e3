"""A team's training program: reads SageMaker's hyperparameters, fits a model, writes it to /opt/ml/model. Knows nothing of this project."""

import json
import os
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def main() -> None:
    given = json.loads(Path("/opt/ml/input/config/hyperparameters.json").read_text())
    data = load_iris()
    model = LogisticRegression(C=float(given["C"]), max_iter=int(given["max_iter"])).fit(data.data, data.target)
    joblib.dump(model, "/opt/ml/model/model.joblib")
    facts = {
        "argv": sys.argv[1:],
        "accuracy": round(model.score(data.data, data.target), 3),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "home": os.environ["HOME"],
        "user": os.environ["USER"],
        "region": os.environ.get("AWS_DEFAULT_REGION"),
        "context": os.environ["LYFTLEARN_CONTEXT"],
    }
    Path("/opt/ml/output/data/facts.json").write_text(json.dumps(facts))
    print("trained", flush=True)


if __name__ == "__main__":
    main()
