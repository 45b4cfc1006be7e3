"""What some images ask of the machine: its shared memory, and a training job's directory and hosts. No network."""

from lyftlearn_entrypoint.context import TRAINING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.launch import Inputs
    from lyftlearn_entrypoint.settings import Settings


def look(context: "Context", settings: "Settings", environ: "dict[str, str]", files: "Files", uid: int, inputs: "Inputs") -> None:
    """Fill the warnings and the hosts of `inputs`; `uid` is whom this start runs as."""
    if settings["shared_memory_min"]:
        from lyftlearn_entrypoint.adapt import memory

        inputs.warnings = memory.lacking(settings["shared_memory_min"], files, context.name)
    if context.name == TRAINING and uid != 0:
        from lyftlearn_entrypoint.adapt import saving

        inputs.warnings += saving.impossible(files)
    if settings["torch_hosts"] != "off" and context.name == TRAINING:
        from lyftlearn_entrypoint.adapt import hosts

        inputs.hosts = hosts.read(files, settings["torch_hosts"], environ.get("LD_LIBRARY_PATH", ""))
