# canary: matplotlib left to choose its backend where there is no display
import io

import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.hist([1, 2, 2, 3])
out = io.BytesIO()
plt.savefig(out)
plt.show()
print("backend", plt.get_backend().lower(), len(out.getvalue()) > 1000)
