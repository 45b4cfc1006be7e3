"""The note about a start that went on without something, as a banner in JupyterLab: a prebuilt extension that holds the text itself.

JupyterLab loads every directory in `labextensions` of its data directories whose package.json names a script (JupyterLab, "Distributing a
prebuilt extension"); the script leaves a module federation container in `window._JUPYTERLAB`. Written by hand, it is 30 lines and works
in JupyterLab 3 and 4, in any image, whatever address Studio opens. Loaded only where there is something to say.
"""

import posix
import time

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.documents import dump
from lyftlearn_entrypoint.volume import make_directories, replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "lyftlearn-notice"
_SCRIPT = "static/remoteEntry.js"
_BODY = """\
(() => {
  const said = %s;
  const show = () => {
    const key = "lyftlearn-notice " + said.when;
    if (sessionStorage.getItem(key)) document.body.dataset.lyftlearnNotice = "dismissed";
    if (sessionStorage.getItem(key) || document.getElementById("lyftlearn-notice")) return;
    const box = document.createElement("div");
    box.id = "lyftlearn-notice";
    box.setAttribute("role", "alert");
    box.style.cssText = "position:fixed;z-index:9999;top:40px;left:50%%;transform:translateX(-50%%);width:min(60rem,92vw);" +
      "max-height:60vh;overflow:auto;box-sizing:border-box;padding:14px 18px;background:#fff4e0;color:#2b2112;" +
      "border:1px solid #e8a33d;border-left-width:6px;border-radius:4px;box-shadow:0 6px 24px rgba(0,0,0,.3);" +
      "font:14px/1.45 system-ui,sans-serif;user-select:text";
    const add = (parent, kind, text, style) => {
      const made = document.createElement(kind);
      made.textContent = text;
      made.style.cssText = style || "";
      return parent.appendChild(made);
    };
    const close = add(box, "button", "Dismiss", "float:right;margin:0 0 8px 16px;padding:4px 12px;font:inherit;cursor:pointer");
    close.addEventListener("click", () => { sessionStorage.setItem(key, "1"); box.remove(); });
    add(box, "strong", said.first);
    const list = add(box, "ul", "", "margin:8px 0;padding-left:20px");
    for (const note of said.notes) add(list, "li", note, "margin:4px 0;overflow-wrap:anywhere");
    add(box, "div", said.last);
    add(box, "small", said.by, "opacity:.75");
    document.body.appendChild(box);
  };
  const plugin = { id: "lyftlearn-notice:plugin", autoStart: true, activate: show };
  const all = (window._JUPYTERLAB = window._JUPYTERLAB || {});
  all["lyftlearn-notice"] = { init: () => {}, get: async () => () => ({ __esModule: true, default: plugin }) };
})();
"""


def directory(env: "Mapping[str, str]") -> str:
    """Where JupyterLab looks for a user's own extensions (jupyter_core.paths.jupyter_data_dir); '' where there is no such place."""
    data = env.get("JUPYTER_DATA_DIR") or (env.get("XDG_DATA_HOME") or env.get("HOME", "") + "/.local/share") + "/jupyter"
    return data + "/labextensions/" + NAME if data.startswith("/") else ""


def write(env: "Mapping[str, str]", first: str, notes: "list[str]", last: str) -> None:
    """Make the extension. Raises OSError."""
    place = directory(env)
    if not place:
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    said = {"first": first, "notes": notes, "last": last, "when": when, "by": "lyftlearn-entrypoint " + __version__ + ", " + when}
    package = {"name": NAME, "version": __version__, "jupyterlab": {"_build": {"load": _SCRIPT, "extension": "./extension"}}}
    make_directories(place + "/static")
    replace_file(place + "/" + _SCRIPT, (_BODY % dump(said)).encode("utf-8", "backslashreplace"), 0o644)
    replace_file(place + "/package.json", dump(package).encode(), 0o644)  # last: JupyterLab goes by it


def remove(env: "Mapping[str, str]") -> None:
    """Take the extension away. Raises OSError."""
    place = directory(env)
    if place:
        posix.unlink(place + "/package.json")
        posix.unlink(place + "/" + _SCRIPT)
        posix.rmdir(place + "/static")
        posix.rmdir(place)
