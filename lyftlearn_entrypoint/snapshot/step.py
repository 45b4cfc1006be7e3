"""The step of a start: a snapshot right before exec, by LYFTLEARN_SNAPSHOT. Loaded where that is set, and before the user is switched."""

import time

from lyftlearn_entrypoint.errors import BadSettings, StartError
from lyftlearn_entrypoint.snapshot.order import SECONDS, Order, observe
from lyftlearn_entrypoint.snapshot.tree import CREDENTIALS, HYPERPARAMETERS, SPARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.log import Log
    from lyftlearn_entrypoint.process import Process
    from lyftlearn_entrypoint.settings import Settings

NO_KEY = "snapshot: there is no key (LYFTLEARN_SNAPSHOT_KEY), so values are left out and only names can be compared [LL1108]"


class Snapshot:
    """Made while whoever started us still runs, who can read the key's file and our modules; taken as the program's user."""

    def __init__(self, settings: "Settings", environ: "dict[str, str]", files: "Files", log: "Log", context: str) -> None:
        from lyftlearn_entrypoint.snapshot.deliver import Delivery

        self._log = log
        self._key = key_of(settings["snapshot_key"], settings["snapshot_key_file"], files)
        if not self._key:
            log.warning(NO_KEY, step="snapshot")
        self._delivery: Delivery = Delivery(settings["snapshot"], environ, files, SECONDS)
        self._order = Order("start", self._key, context, [], "", settings["snapshot_image"])
        self._order.look_at([word.strip() for word in settings["snapshot_paths"].split(",") if word.strip()], files.real)
        for name in (HYPERPARAMETERS, CREDENTIALS):
            if directory := settings[f"{name}_dir"]:
                self._order.trees[name] = files.real(directory)

    def take(self, process: "Process", launch: "Launch", program: str) -> None:
        """Take it and hand it over. What fails is a warning: a snapshot never stops a start."""
        began = time.monotonic()
        self._order.argv, self._order.program = launch.command.argv, program
        if directory := launch.env.get("SPARK_CONF_DIR"):
            self._order.trees[SPARK] = directory
        try:
            document = observe(self._order, launch.env, process.restore)
            self._delivery.write(document)
        except Exception as error:  # noqa: BLE001  whatever it is; its own text might hold a value
            text = str(error) if isinstance(error, StartError) else getattr(error, "strerror", None) or type(error).__name__
            text = text if text.endswith("]") else text + " [LL1107]"
            self._log.warning("snapshot: none: " + text.removeprefix("snapshot: "), step="snapshot")
            return
        elapsed = round((time.monotonic() - began) * 1000)
        self._log.info(f"snapshot: {len(document)} bytes to {self._delivery.place} in {elapsed} ms", step="snapshot", milliseconds=elapsed)


def key_of(key: str, path: str, files: "Files") -> str:
    """The key, of its setting or of its file. Raises BadSettings (78) for both, for a file that cannot be read, and for a weak key."""
    from lyftlearn_entrypoint.snapshot.mask import weak

    if not path:
        return key
    if key:
        raise BadSettings("LYFTLEARN_SNAPSHOT_KEY and LYFTLEARN_SNAPSHOT_KEY_FILE are both set", "Take one away", finding="LL1104")
    try:
        data = files.read(path, 4096)
        text = (data or b"").decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        data = None
    if data is None:
        raise BadSettings(
            f"LYFTLEARN_SNAPSHOT_KEY_FILE: {files.real(path)} cannot be read as text",
            "Put a key there: openssl rand -hex 32",
            finding="LL1105",
        )
    if problem := weak(text):
        raise BadSettings(f"LYFTLEARN_SNAPSHOT_KEY_FILE: {problem}", "Snapshots are compared under one key", finding="LL1106")
    return text
