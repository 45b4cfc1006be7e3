"""Scores a table of patients at night: `python -m screening.score IN.csv OUT.csv`. The threshold is a variable, as in the service."""

import os
from pathlib import Path

import click
import joblib
import pandas as pd

MODEL = Path(os.environ.get("MODEL_DIR", "/opt/ml/model")) / "screening.joblib"


@click.command()
@click.argument("table", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(table, out):
    threshold = float(os.environ["SCREENING_THRESHOLD"])
    rows = pd.read_csv(table)
    scores = joblib.load(MODEL).predict_proba(rows.to_numpy())[:, 1]
    pd.DataFrame({"score": scores.round(6), "recall": scores < threshold}).to_csv(out, index=False)
    click.echo(f"scored {len(rows)} rows")


if __name__ == "__main__":
    main()
