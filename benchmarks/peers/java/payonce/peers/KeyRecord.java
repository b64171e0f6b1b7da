package payonce.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;

/** What the store holds of a key: as many of its members as a replay needs. */
final class KeyRecord {
    String fingerprint;
    int status;
    String body;
    String commandId;
    long expiresAt;

    static KeyRecord read(JsonFactory json, byte[] value) {
        KeyRecord record = new KeyRecord();
        try (JsonParser parser = json.createParser(value)) {
            parser.nextToken();
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                parser.nextToken();
                switch (name) {
                    case "fingerprint" -> record.fingerprint = parser.getText();
                    case "status" -> record.status = parser.getIntValue();
                    case "body" -> record.body = parser.getText();
                    case "command_id" -> record.commandId = parser.getText();
                    case "expires_at" -> record.expiresAt = parser.getLongValue();
                    default -> { }
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error); // written here: it is JSON
        }
        return record;
    }
}
