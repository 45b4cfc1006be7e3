# canary: logging to stdout, with warnings and an exception, and print between
import logging
import logging.config
import sys
import warnings

logging.config.dictConfig(
    {
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s %(name)s %(processName)s: %(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["out"]},
    }
)
logging.captureWarnings(True)
log = logging.getLogger("train")
log.info("epoch %d, loss %.3f", 1, 0.25)
print("between", flush=True)
log.debug("never seen")
warnings.warn("deprecated", FutureWarning, stacklevel=1)
try:
    {}["missing"]
except KeyError:
    log.exception("no such key")
sys.stdout.write("stdout %s %s\n" % (sys.stdout.encoding, sys.stdout.line_buffering))
sys.stderr.write("the end\n")
