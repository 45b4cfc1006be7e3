"""The limits of the real APIs, walked from the service model that botocore ships: nothing here is a hand-kept table.

One number is not in the model: CreateModel takes 32 KB for all variables of its containers together. It stands in the prose of
botocore's shape `ContainerDefinition$Environment` (botocore 1.44), and is checked by hand below.
"""

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.model import MapShape, Shape

TRAINING, TUNING, PROCESSING, TRANSFORM, ENDPOINT, STUDIO = (
    "sagemaker-training",
    "tuning",
    "sagemaker-processing",
    "sagemaker-transform",
    "sagemaker-endpoint",
    "studio",
)
ENVIRONMENT, HYPERPARAMETERS, ARGUMENTS = "environment", "hyperparameters", "arguments"

# Where in the API each thing is passed: operation, then the members down to it. A list member is entered by its name in the request.
_TRIAL = ("CreateHyperParameterTuningJob", "TrainingJobDefinition")
_PLACES = {
    (TRAINING, ENVIRONMENT): ("CreateTrainingJob", "Environment"),
    (TRAINING, HYPERPARAMETERS): ("CreateTrainingJob", "HyperParameters"),
    (TRAINING, ARGUMENTS): ("CreateTrainingJob", "AlgorithmSpecification", "ContainerArguments"),
    (TUNING, ENVIRONMENT): (*_TRIAL, "Environment"),
    (TUNING, HYPERPARAMETERS): (*_TRIAL, "StaticHyperParameters"),
    (PROCESSING, ENVIRONMENT): ("CreateProcessingJob", "Environment"),
    (PROCESSING, ARGUMENTS): ("CreateProcessingJob", "AppSpecification", "ContainerArguments"),
    (TRANSFORM, ENVIRONMENT): ("CreateTransformJob", "Environment"),
    (ENDPOINT, ENVIRONMENT): ("CreateModel", "PrimaryContainer", "Environment"),
    (STUDIO, ENVIRONMENT): ("CreateAppImageConfig", "JupyterLabAppImageConfig", "ContainerConfig", "ContainerEnvironmentVariables"),
    (STUDIO, ARGUMENTS): ("CreateAppImageConfig", "JupyterLabAppImageConfig", "ContainerConfig", "ContainerArguments"),
}
MODEL_ENVIRONMENT_BYTES = 32 * 1024  # all names and values together; see the module's docstring

_STAGE = "pass it with `lyftlearn stage`, which has no such limit"
_SHORTER = "put the long part into a staged variable (`lyftlearn stage`) or into a script"


class Violation:
    """One entry that a real API would refuse. `line` says which, by which limit, and the way out; never a value."""

    def __init__(self, operation: str, member: str, entry: str, limit: str, remedy: str) -> None:
        self.operation = operation
        self.member = member
        self.entry = entry
        self.limit = limit
        self.remedy = remedy

    @property
    def line(self) -> str:
        entry = f" {self.entry}" if self.entry else ""
        return f"{self.operation} {self.member}{entry}: {self.limit}; {self.remedy}"


@functools.cache
def _model() -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker")


def shape(kind: str, what: str) -> "Shape | None":
    """botocore's shape for what is passed in a context; None where the API has no such member (a trial takes no arguments)."""
    place = _PLACES.get((kind, what))
    if place is None:
        return None
    found = _model().operation_model(place[0]).input_shape
    for member in place[1:]:
        found = found.members[member]
    result: Shape = found
    return result


def check(kind: str, what: str, value: "dict[str, str] | list[str]") -> "list[Violation]":
    """What the API would refuse in `value`. `kind` is a context's name or `tuning`; contexts without an API (pods) refuse nothing."""
    place = _PLACES.get((kind, what))
    found = shape(kind, what)
    if place is None or found is None:
        return []
    walk = _Walk(place[0], ".".join(place[1:]), _SHORTER if what == ARGUMENTS else _STAGE)
    walk.value(found, value, "")
    if (kind, what) == (ENDPOINT, ENVIRONMENT) and isinstance(value, dict):
        total = sum(len(name.encode()) + len(text.encode()) for name, text in value.items())
        if total > MODEL_ENVIRONMENT_BYTES:
            walk.refuse("", f"{total} bytes of names and values, the API takes {MODEL_ENVIRONMENT_BYTES}")
    return walk.violations


class _Walk:
    """Goes down a shape and a value side by side, and keeps what breaks a constraint of the shape."""

    def __init__(self, operation: str, member: str, remedy: str) -> None:
        self.operation = operation
        self.member = member
        self.remedy = remedy
        self.violations: list[Violation] = []

    def refuse(self, entry: str, limit: str) -> None:
        self.violations.append(Violation(self.operation, self.member, entry, limit, self.remedy))

    def value(self, shape: "Shape", value: object, entry: str) -> None:
        if shape.type_name == "map" and isinstance(value, dict):
            self.map(shape, value, entry)  # type: ignore[arg-type]
        elif shape.type_name == "list" and isinstance(value, list):
            self.size(shape, len(value), entry, "entries")
            for position, item in enumerate(value, 1):
                self.value(shape.member, item, f"{entry}[{position}]")  # type: ignore[attr-defined]
        elif shape.type_name == "structure" and isinstance(value, dict):
            for name, item in value.items():
                self.value(shape.members[name], item, f"{entry}.{name}".lstrip("."))  # type: ignore[attr-defined]
        elif shape.type_name == "string" and isinstance(value, str):
            self.string(shape, value, entry)

    def map(self, shape: "MapShape", value: "dict[str, object]", entry: str) -> None:
        self.size(shape, len(value), entry, "entries")
        for name, item in value.items():
            shown = ascii(name) if len(name) <= 60 else ascii(name[:57]) + "..."
            self.string(shape.key, name, f"name {shown}")
            self.value(shape.value, item, shown)

    def string(self, shape: "Shape", value: str, entry: str) -> None:
        self.size(shape, len(value), entry, "characters")
        pattern = shape.metadata.get("pattern")
        if pattern is None:
            return
        try:
            fits = re.fullmatch(pattern, value)
        except re.error:  # a pattern in Java's dialect, such as \p{L}: the service alone can tell
            return
        if not fits:
            why = "a line feed in it, which the API's pattern" if "\n" in value else "it does not match the API's pattern"
            self.refuse(entry, f"{why} {pattern}" + (" does not take" if "\n" in value else ""))

    def size(self, shape: "Shape", size: int, entry: str, unit: str) -> None:
        most, least = shape.metadata.get("max"), shape.metadata.get("min")
        if most is not None and size > most:
            self.refuse(entry, f"{size} {unit}, the API takes {most}")
        elif least is not None and size < least:
            self.refuse(entry, f"{size} {unit}, the API wants at least {least}")
