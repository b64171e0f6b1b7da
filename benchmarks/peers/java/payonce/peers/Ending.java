package payonce.peers;

/** SIGTERM as a clean end: what must be closed is closed, and the exit code is 0. */
final class Ending {
    private Ending() { }

    static void onTerm(Runnable close) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            close.run();
            Runtime.getRuntime().halt(0); // the JVM would say 143
        }));
    }

    /** From a thread that cannot go on: no hook is waited for. */
    static void failed(Throwable why) {
        why.printStackTrace();
        Runtime.getRuntime().halt(1);
    }
}
