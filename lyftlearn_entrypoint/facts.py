"""A Launch in words: what `lyftlearn plan --json` prints."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.fetch.model import Arrived
    from lyftlearn_entrypoint.launch import Launch


def facts(launch: "Launch") -> "dict[str, object]":
    """Names, sources and sizes, never a value."""
    return {
        "command": launch.command.argv,
        "command_from": launch.command.origin,
        "user": {
            "uid": launch.user.uid,
            "gid": launch.user.gid,
            "groups": launch.user.groups,
            "name": launch.user.name or None,
            "switch": launch.switch,
        },
        "variables": [{"name": name, "from": launch.origins[name], "value": "***"} for name in sorted(launch.env)],
        "hyperparameters_file": launch.hyperparameters[1][0] if launch.hyperparameters else None,
        "volumes": [{"directory": v.directory, "mode": f"{v.mode:04o}", "files": sorted(v.files)} for v in launch.volumes],
        "owned": launch.owned,
        "home_made": launch.make_home or None,
        "code": launch.code.directory if launch.code and not launch.code.why else None,
        "model": _model(launch.model),
        "relay": ":".join(str(part) for part in launch.relay) if launch.relay else None,
        "spark": launch.spark,
        "notes": launch.notes,
        "warnings": launch.warnings,
    }


def _model(model: "Arrived | None") -> "dict[str, object] | None":
    if model is None:
        return None
    return {
        "file": model.file,
        "uri": model.uri,
        "sha256": model.sha256,
        "bytes": model.size if model.size >= 0 else None,
        "from": model.origin,
    }
