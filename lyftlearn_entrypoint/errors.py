"""The one exception tree and the one table of exit codes.

    StartError
    |-- NothingToRun          64
    |-- BadDocument           65
    |-- Missing               66
    |-- Unavailable           69
    |-- Refused               77
    |-- BadSettings           78
    |-- CommandNotExecutable  126
    `-- CommandNotFound       127

64 to 78 are the codes of sysexits.h (EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG);
126 and 127 are the shell's (POSIX.1-2017, Shell Command Language, 2.8.2).
"""


class StartError(Exception):
    """A start that cannot go on. Never holds a secret: its text is logged and written to the failure file.

    `what` says what was tried and what answered; `remedy` says what to do about it; `finding` is its code in
    docs/troubleshooting.md (`LL0609`), a plain constant so that it costs nothing.
    """

    code = 70  # EX_SOFTWARE; the other codes are those of the subclasses
    meaning = "a defect in the entrypoint"

    def __init__(self, what: str, remedy: str = "", finding: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy
        self.finding = finding

    @property
    def told(self) -> str:
        """What happened and what to do, without the finding's code."""
        if not self.remedy:
            return self.what
        return self.what + (" " if self.what.endswith(("?", ".")) else ". ") + self.remedy

    def __str__(self) -> str:
        return self.told + (" [" + self.finding + "]" if self.finding else "")


class NothingToRun(StartError):
    """No ARGs, and nothing that stands in for them."""

    code = 64
    meaning = "nothing to run"


class BadDocument(StartError):
    """A staged document or a reply is not what it claims, or two credentials claim one variable."""

    code = 65
    meaning = "a staged document or reply is not what it claims (JSON, type, sha256, size), or two credentials claim one variable"


class Missing(StartError):
    """What a setting names does not exist."""

    code = 66
    meaning = "what a setting names does not exist: S3 object or bucket, Confidant service, KMS key"


class Unavailable(StartError):
    """Something needed could not be reached, or did not answer whole, in time."""

    code = 69
    meaning = "something needed could not be reached, or did not answer whole, in time; no network (isolation)"


class Refused(StartError):
    """KMS, S3 or Confidant said no."""

    code = 77
    meaning = "access refused: KMS, S3 or Confidant said no"


class BadSettings(StartError):
    """Settings are wrong or incomplete."""

    code = 78
    meaning = "settings are wrong or incomplete"


class CommandNotExecutable(StartError):
    """The command was found and cannot be executed."""

    code = 126
    meaning = "the command is not executable"


class CommandNotFound(StartError):
    """There is no such command."""

    code = 127
    meaning = "the command was not found"


EXIT_CODES: "dict[int, type[StartError]]" = {
    kind.code: kind
    for kind in (
        NothingToRun,
        BadDocument,
        Missing,
        Unavailable,
        Refused,
        BadSettings,
        CommandNotExecutable,
        CommandNotFound,
    )
}
