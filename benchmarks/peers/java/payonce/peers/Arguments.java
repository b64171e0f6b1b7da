package payonce.peers;

import java.util.HashMap;
import java.util.Map;

/** `--name value` pairs of a command line. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] given) {
        for (int at = 0; at + 1 < given.length; at += 2) {
            values.put(given[at], given[at + 1]);
        }
    }

    String text(String name) {
        String value = values.get("--" + name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }

    int number(String name) {
        return Integer.parseInt(text(name));
    }

    /** Kafka's own settings, for an experiment: `--set a=1,b=2` wins over whatever is set here. */
    void override(Map<String, Object> settings) {
        for (String pair : values.getOrDefault("--set", "").split(",")) {
            if (!pair.isEmpty()) {
                settings.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
            }
        }
    }
}
