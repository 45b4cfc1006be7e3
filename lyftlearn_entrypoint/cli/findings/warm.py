"""Findings about a job's model and about warm pools."""

from lyftlearn_entrypoint.cli.findings import Area, Known

AREAS = (
    Area("Models and warm pools", (
        Known("LL1201", "model's sha256 differs", 65,
              "The object is not the model whose digest was given: someone wrote to it since, or the URI is of another one.",
              "Pass the digest of the model that is meant."),
        Known("LL1202", "model changed while it was read", 65,
              "The object was overwritten between two of its parts.",
              "Start again; a `?versionId=` in the URI keeps its object."),
        Known("LL1203", "model not there in time", 69,
              "The model was not whole before the deadline. The line says how many bytes had come.",
              "Raise `LYFTLEARN_DEADLINE` for a model of this size, or look at the route to S3."),
        Known("LL1204", "model cannot be written", 78,
              "The directory cannot be made or written, has no room, or has a directory of the file's name.",
              "Name another `LYFTLEARN_MODEL_DIR`, or give the job a larger volume."),
        Known("LL1211", "model in a warm pool not used", 0,
              "What the pool has under the model's digest is something else: half written, another file, a link or a device. The model is "
              "fetched from S3, and the entry replaced.",
              "Nothing. Where it comes back, look at who else uses the pool."),
        Known("LL1212", "model not kept", 0,
              "The warm pool's directory is missing, read-only or full: the next job fetches the model again.",
              "Look at the pool's directory."),
        Known("LL1213", "compiled code in a warm pool not used", 0,
              "The pack of compiled code is broken, or not written with this team's key for this image. The program compiles anew, and the "
              "pack is replaced.",
              "Nothing. Where it comes back, look at who else uses the pool."),
        Known("LL1214", "compiled code not kept", 0,
              "The warm pool's directory cannot be used, or the program's own for compiled code cannot be made or is open to others. The "
              "program has its caches where it had them before.",
              "Look at the directory that the line names."),
        Known("LL1215", "saver not started", 0,
              "The process that keeps compiled code could not be forked.",
              "Look at the limit on processes."),
    )),
)  # fmt: skip
