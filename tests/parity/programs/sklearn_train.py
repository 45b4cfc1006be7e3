# canary: scikit-learn: a search over two processes, a model saved and loaded
import os
import tempfile

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=7)
search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2, n_jobs=2)
search.fit(X_train, y_train)
print(search.best_params_, round(search.score(X_test, y_test), 6))
forest = RandomForestClassifier(10, random_state=7, n_jobs=2).fit(X_train, y_train)
print("forest", round(forest.score(X_test, y_test), 6))
with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "model.joblib")
    joblib.dump(search.best_estimator_, path, compress=3)
    print("loaded", round(joblib.load(path).score(X_test, y_test), 6))
