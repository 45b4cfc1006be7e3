"""Can a training job save its model? SageMaker's /opt/ml/model is root's; only a start as root can hand it over (launch.OWNED)."""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Files

MODEL = "/opt/ml/model"


def impossible(files: "Files") -> "list[str]":
    """A warning where the model's directory is there, and this process may not write it; else nothing."""
    if not files.is_dir(MODEL) or posix.access(files.real(MODEL), posix.W_OK | posix.X_OK, effective_ids=True):
        return []
    return [
        MODEL + " cannot be written by uid " + str(posix.geteuid()) + ", so the model cannot be saved: leave USER out of the image, and "
        "name that user in LYFTLEARN_USER [LL1006]"
    ]  # fmt: skip
