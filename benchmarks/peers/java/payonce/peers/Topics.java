package payonce.peers;

/** Names on the log, by which the nodes of the topology are called too. */
final class Topics {
    static final String COMMANDS = "commands";
    static final String CHARGES = "charges";
    static final String REPLIES = "replies";
    static final String DEAD_LETTERS = "dead-letters";

    private Topics() { }

    static String in(String namespace, String topic) {
        return namespace + "." + topic;
    }

    /** The consumer group, and the id of the Streams application: what our own processor's is called, too. */
    static String group(String namespace) {
        return in(namespace, "processor");
    }
}
