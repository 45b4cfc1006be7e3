# canary: matplotlib: a figure in a file, fonts from its cache
import io
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.plot([1, 2, 3], [1, 4, 9], label="Grüße")
axes.legend()
out = io.BytesIO()
figure.savefig(out, format="png", metadata={"Software": None})
print(out.getvalue()[:8], len(out.getvalue()) > 5000)
print("cache can be written:", os.access(matplotlib.get_cachedir(), os.W_OK), "config:", os.access(matplotlib.get_configdir(), os.W_OK))
print("cache below home:", matplotlib.get_cachedir().startswith(os.path.expanduser("~")))
