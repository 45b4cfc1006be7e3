#!/bin/sh
# Decommissions the Spark executor of this container: it takes no more tasks and gives its blocks away. Kubernetes runs this before it
# stops a pod (preStop), where spark.decommission.enabled is set: spark.kubernetes.decommission.script names this path by default.
# It ends when the executor has; how long that may take is the pod's grace period.
exec 2>/dev/null
say() { echo "decommission: $*" | tee /proc/1/fd/2; } # the container's log; a hook's own output is nobody's to read

executor=
for process in /proc/[0-9]*; do
    # Not another container's, where a pod shares its process ids.
    [ "$(readlink "$process/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ] || continue
    if tr '\0' '\n' <"$process/cmdline" | grep -qxE 'org\.apache\.spark\..*ExecutorBackend'; then
        executor=${process#/proc/}
        break
    fi
done
if [ -z "$executor" ]; then
    say "there is no Spark executor here"
    exit 0
fi
say "asking executor process $executor to hand over its work"
# Spark's default, spark.executor.decommission.signal.
kill -s PWR "$executor"
while kill -0 "$executor"; do
    sleep 0.2
done
say "the executor has ended"
