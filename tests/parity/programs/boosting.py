# canary: xgboost and lightgbm with threads of their own, from a pandas table in Parquet
import tempfile
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import xgboost

rng = np.random.default_rng(7)
table = pd.DataFrame(rng.normal(size=(600, 4)), columns=list("abcd"))
table["label"] = (table["a"] + table["b"] ** 2 > 0.7).astype(int)
with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "table.parquet"
    table.to_parquet(path, compression="zstd")
    table = pd.read_parquet(path)
print(table.groupby("label").size().to_dict(), table.dtypes.astype(str).tolist())
X, y = table[list("abcd")], table["label"]
booster = xgboost.train({"objective": "binary:logistic", "nthread": 2, "seed": 7}, xgboost.DMatrix(X, y), 20)
print("xgboost", float((booster.predict(xgboost.DMatrix(X)) > 0.5).astype(int).__eq__(y).mean()))
model = lightgbm.LGBMClassifier(n_estimators=20, random_state=7, n_jobs=2, verbose=-1, deterministic=True).fit(X, y)
print("lightgbm", float((model.predict(X) == y).mean()))
