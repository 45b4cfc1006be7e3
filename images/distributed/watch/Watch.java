package lyftlearn;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkContext$;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkJobInfo;
import org.apache.spark.SparkStageInfo;
import scala.Tuple2;

/**
 * Beside a driver, in its JVM: a job for which no executor comes fails with the reason, instead of hanging with one vague warning.
 *
 * <p>A Java agent (java.lang.instrument), so that it needs no setting of Spark's, which the user's own could replace: spark.plugins,
 * spark.extraListeners. It only looks, once a second, by Spark's public status tracker. Where a job has waited for FIRST seconds, it asks a
 * program for the reason; an answer that no waiting mends, or a wait of `patience` seconds, cancels the jobs with that reason. The session
 * lives on. Its argument: {@code PATIENCE:PROGRAM}, seconds and a path.
 */
public final class Watch extends Thread {
    private static final long FIRST = 45; // seconds; an executor takes 5 to 30 to come, and one that cannot reach its driver dies after 32
    private static final long AGAIN = 15;
    private static final long ANSWER = 40; // the program's own limits end it before

    private final long patience;
    private final String program;
    private SparkContext session;
    private boolean proved; // whether a task has ended well, so that all ways that a task needs are open
    private long since; // when the waiting began, in nanoseconds; 0 while nothing waits
    private long asked; // when the program was asked last

    private Watch(long patience, String program) {
        super("lyftlearn-watch");
        this.patience = patience;
        this.program = program;
    }

    public static void premain(String argument) {
        int colon = argument.indexOf(':');
        Watch watch = new Watch(Long.parseLong(argument.substring(0, colon)), argument.substring(colon + 1));
        watch.setDaemon(true);
        watch.start();
    }

    @Override
    public void run() {
        try {
            sleep(3000); // a driver takes longer to start, and shall not share the processors with us
            while (true) {
                sleep(1000);
                scala.Option<SparkContext> active = SparkContext$.MODULE$.getActive();
                if (active.isDefined() && !active.get().isStopped() && !active.get().isLocal()) {
                    try {
                        look(active.get());
                    } catch (RuntimeException error) {
                        continue; // the session was stopped meanwhile; the next look will see
                    }
                }
            }
        } catch (InterruptedException | LinkageError error) {
            // The end, or another Spark than the one that this was made for: then Spark is as it is without us.
        }
    }

    private void look(SparkContext found) throws InterruptedException {
        if (found != session) {
            session = found;
            proved = false;
            since = 0;
        }
        int[] jobs = found.statusTracker().getActiveJobIds();
        int executors = found.statusTracker().getExecutorInfos().length - 1; // the driver counts as one
        if (executors > 0 && !proved) {
            proved = progress(jobs);
        }
        if (jobs.length == 0 || executors > 0 && proved) {
            since = 0;
            return;
        }
        long now = System.nanoTime();
        if (since == 0) {
            since = now;
            asked = 0;
        }
        long waited = TimeUnit.NANOSECONDS.toSeconds(now - since);
        boolean over = waited >= patience && executors <= 0;
        if (!over && (waited < Math.min(FIRST, patience) || asked != 0 && TimeUnit.NANOSECONDS.toSeconds(now - asked) < AGAIN)) {
            return;
        }
        // The first line says whether waiting may help: `wait`, `final`, or `nothing` that is known to be wrong.
        String[] answer = ask(found, executors).split("\n", 2);
        asked = System.nanoTime();
        // A first task may well take an hour: where nothing is found closed, nobody is asked again.
        proved = executors > 0;
        String why = answer.length > 1 ? answer[1].strip() : "";
        if (answer[0].equals("final") || over && found.statusTracker().getExecutorInfos().length <= 1) {
            if (!answer[0].equals("final")) {
                why += ". Where a cluster needs longer to make nodes: LYFTLEARN_SPARK_PATIENCE, in seconds (here " + patience + ")";
            }
            fail(found, executors, waited, why);
        }
    }

    private boolean progress(int[] jobs) {
        for (int job : jobs) {
            scala.Option<SparkJobInfo> known = session.statusTracker().getJobInfo(job);
            for (int stage : known.isDefined() ? known.get().stageIds() : new int[0]) {
                scala.Option<SparkStageInfo> info = session.statusTracker().getStageInfo(stage);
                if (info.isDefined() && info.get().numCompletedTasks() > 0) {
                    return true;
                }
            }
        }
        return false;
    }

    private void fail(SparkContext found, int executors, long waited, String why) {
        String what = executors > 0 ? "no task has ended" : "no executor has come";
        String reason = "because " + what + " after " + waited + " s: " + (why.isEmpty() ? "the reason is not known" : why);
        System.err.println("lyftlearn-entrypoint: error: spark: the job is cancelled " + reason);
        for (int job : found.statusTracker().getActiveJobIds()) {
            found.cancelJob(job, reason);
        }
        since = 0;
        proved = false;
    }

    /** The program's answer. It gets the settings of this session that say where executors are looked for; none of them is secret. */
    private String ask(SparkContext found, int executors) throws InterruptedException {
        StringBuilder settings = new StringBuilder();
        for (Tuple2<String, String> pair : found.getConf().getAll()) {
            String name = pair._1();
            boolean ours = name.startsWith("spark.kubernetes.") || name.startsWith("spark.driver.") || name.startsWith("spark.executor.")
                    || name.startsWith("spark.blockManager.") || name.equals("spark.master") || name.equals("spark.cores.max");
            boolean harmless = !name.contains(".authenticate.") && !name.endsWith("JavaOptions") && !name.contains(".annotation.");
            if (ours && harmless || name.equals("spark.kubernetes.authenticate.executor.serviceAccountName")) {
                settings.append(name).append(' ').append(pair._2().replace('\n', ' ')).append('\n');
            }
        }
        settings.append("spark.driver.blockManager.port ").append(SparkEnv.get().blockManager().blockManagerId().port()).append('\n');
        settings.append("spark.app.id ").append(found.applicationId()).append('\n');
        settings.append("lyftlearn.executors ").append(executors).append('\n');
        try {
            ProcessBuilder command = new ProcessBuilder(program, "doctor", "session");
            command.redirectError(new File("/dev/null"));
            Process process = command.start();
            try (OutputStream stream = process.getOutputStream()) {
                stream.write(settings.toString().getBytes(StandardCharsets.UTF_8));
            }
            if (!process.waitFor(ANSWER, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                return "wait\n" + program + " did not answer";
            }
            StringBuilder said = new StringBuilder();
            try (BufferedReader reader = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                    said.append(line).append('\n');
                }
            }
            return said.toString();
        } catch (IOException error) {
            return "wait\n" + program + ": " + error.getMessage();
        }
    }
}
