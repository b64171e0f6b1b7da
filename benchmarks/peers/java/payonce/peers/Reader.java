package payonce.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.utils.Utils;

/**
 * Records of `commands` to commands, valid or not, by the rules of the contract.
 *
 * <p>Jackson's streaming parser is the fastest customary way: no tree, no reflection. Each member is checked as it
 * comes, and a bit for each finds a name that comes twice.
 */
final class Reader {
    private static final int COMMAND_BYTES_MAX = 64 * 1024;
    private static final long AMOUNT_MAX = 999_999_999_999L;
    private static final int METADATA_PAIRS_MAX = 50;
    private static final int KEY_LENGTH_MAX = 255;
    private static final int MERCHANT_LENGTH_MAX = 64;

    private static final Set<String> CURRENCIES = Set.of(("""
            aed afn all amd aoa ars aud awg azn bam bbd bdt bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf \
            clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd \
            hnl htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl \
            lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php \
            pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt \
            tnd top try ttd twd tzs uah ugx usd uyu uzs ved ves vnd vuv wst xaf xcd xof xpf yer zar zmw zwg""")
            .split(" "));

    /** The test tokens, and why each is declined; an empty reason succeeds. */
    static final Map<String, String> PAYMENT_METHODS = Map.of(
            "pm_card_visa", "",
            "pm_card_declined", "card_declined",
            "pm_card_insufficient_funds", "insufficient_funds",
            "pm_card_expired", "expired",
            "pm_card_incorrect_cvc", "incorrect_cvc",
            "pm_card_processing_error", "processing_error");

    // Names of metadata are a customer's own and would fill the table of interned strings.
    private final JsonFactory json = JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();
    private final int partition;
    private final int partitions;

    Reader(int partition, int partitions) {
        this.partition = partition;
        this.partitions = partitions;
    }

    JsonFactory json() {
        return json;
    }

    Command read(byte[] key, byte[] value) {
        Command command = new Command();
        if (value == null || value.length > COMMAND_BYTES_MAX) {
            return rejected(command, value == null ? "unreadable" : "too_large");
        }
        Complaints complaints = new Complaints();
        try (JsonParser parser = json.createParser(value)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return rejected(command, "unreadable");
            }
            readEnvelope(parser, command, complaints);
            if (parser.nextToken() != null) {
                return rejected(command, "unreadable");
            }
        } catch (IOException unreadable) {
            return rejected(command, "unreadable");
        }
        return judged(command, key, complaints);
    }

    /** The order of the questions is the contract's: whose it is, where it is, what it says. */
    private Command judged(Command command, byte[] key, Complaints complaints) {
        if (!isMerchantId(command.merchantId) || key == null || !sameAscii(key, command.merchantId)) {
            return rejected(command, "wrong_key");
        }
        if (Utils.toPositive(Utils.murmur2(key)) % partitions != partition) {
            return rejected(command, "wrong_partition");
        }
        String envelope = complaints.json != null ? complaints.json : complaintOfEnvelope(command, complaints);
        String complaint = envelope != null ? envelope : complaints.payload;
        if (complaint == null) {
            return command;
        }
        if (isCommandId(command.commandId)) {
            command.code = complaints.json != null ? "invalid_json" : "invalid_request";
            command.detail = complaint;
            command.idempotencyKey = isIdempotencyKey(command.idempotencyKey) ? command.idempotencyKey : null;
        }
        return rejected(command, envelope != null ? "invalid_command" : "invalid_payload");
    }

    private static Command rejected(Command command, String reason) {
        command.reason = reason;
        return command;
    }

    private static final class Complaints {
        String json;
        String envelope;
        String payload;
        int seen;

        void twice(String name) {
            json = "The member '" + name + "' appears twice in one object.";
        }

        void payload(String name, String what) {
            if (payload == null) {
                payload = "The member " + name + " " + what;
            }
        }
    }

    private static final int COMMAND_ID = 1;
    private static final int TYPE = 2;
    private static final int MERCHANT_ID = 4;
    private static final int IDEMPOTENCY_KEY = 8;
    private static final int ISSUED_AT = 16;
    private static final int DEADLINE_AT = 32;
    private static final int PAYLOAD = 64;

    private static void readEnvelope(JsonParser parser, Command command, Complaints complaints) throws IOException {
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            int bit = 0;
            switch (name) {
                case "command_id" -> {
                    bit = COMMAND_ID;
                    command.commandId = textOf(parser, token);
                }
                case "type" -> {
                    bit = TYPE;
                    command.type = textOf(parser, token);
                }
                case "merchant_id" -> {
                    bit = MERCHANT_ID;
                    command.merchantId = textOf(parser, token);
                }
                case "idempotency_key" -> {
                    bit = IDEMPOTENCY_KEY;
                    command.idempotencyKey = textOf(parser, token);
                    if (token != JsonToken.VALUE_NULL && !isIdempotencyKey(command.idempotencyKey)) {
                        complaints.envelope =
                                "The idempotency_key must be 1 to 255 printable ASCII characters, or null.";
                    }
                }
                case "issued_at", "deadline_at" -> {
                    bit = name.equals("issued_at") ? ISSUED_AT : DEADLINE_AT;
                    long instant = token == JsonToken.VALUE_NUMBER_INT ? parser.getLongValue() : -1;
                    if (instant < 0) {
                        complaints.envelope = "The members issued_at and deadline_at must be Unix milliseconds.";
                    }
                    if (bit == DEADLINE_AT) {
                        command.deadlineAt = instant;
                    }
                }
                case "payload" -> {
                    bit = PAYLOAD;
                    if (token == JsonToken.START_OBJECT) {
                        readPayload(parser, command, complaints);
                    } else {
                        complaints.envelope = "The body must be a JSON object.";
                    }
                }
                default -> { }
            }
            if (bit != 0 && (complaints.seen & bit) != 0) {
                complaints.twice(name);
            }
            complaints.seen |= bit;
            parser.skipChildren(); // of what nobody asked for
        }
    }

    private static void readPayload(JsonParser parser, Command command, Complaints complaints) throws IOException {
        int seen = 0;
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            int bit = switch (name) {
                case "amount" -> {
                    command.amount = token == JsonToken.VALUE_NUMBER_INT ? amountOf(parser) : 0;
                    yield 1;
                }
                case "currency" -> {
                    command.currency = textOf(parser, token);
                    yield 2;
                }
                case "payment_method" -> {
                    command.paymentMethod = textOf(parser, token);
                    yield 4;
                }
                case "capture" -> {
                    command.hasCapture = true;
                    if (token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE) {
                        command.capture = token == JsonToken.VALUE_TRUE;
                    } else if (token != JsonToken.VALUE_NULL) {
                        complaints.payload(name, "is not valid: input should be a valid boolean.");
                    }
                    yield 8;
                }
                case "description" -> {
                    command.hasDescription = true;
                    command.description = textOf(parser, token);
                    if (command.description == null && token != JsonToken.VALUE_NULL) {
                        complaints.payload(name, "is not valid: input should be a valid string.");
                    }
                    complaints.json = orUnclean(complaints.json, command.description);
                    yield 16;
                }
                case "metadata" -> {
                    command.hasMetadata = true;
                    if (token == JsonToken.START_OBJECT) {
                        readMetadata(parser, command, complaints);
                    } else if (token != JsonToken.VALUE_NULL) {
                        complaints.payload(name, "is not valid: input should be a valid dictionary.");
                    }
                    yield 32;
                }
                default -> {
                    complaints.payload(name, "is not known here.");
                    yield 0;
                }
            };
            if ((seen & bit) != 0) {
                complaints.twice(name);
            }
            seen |= bit;
            parser.skipChildren(); // of a list or an object where neither belongs
        }
        if (command.amount < 1 || command.amount > AMOUNT_MAX) {
            complaints.payload("amount", "is not an integer from 1 to 999999999999.");
        }
        if (command.currency == null || !CURRENCIES.contains(command.currency)) {
            complaints.payload("currency", "is not valid: must be a lower-case ISO 4217 code of an active currency.");
        }
        if (command.paymentMethod == null || !PAYMENT_METHODS.containsKey(command.paymentMethod)) {
            complaints.payload("payment_method", "is not valid: it is no token that is known.");
        }
    }

    private static long amountOf(JsonParser parser) throws IOException {
        JsonParser.NumberType type = parser.getNumberType();
        return type == JsonParser.NumberType.BIG_INTEGER ? 0 : parser.getLongValue();
    }

    private static void readMetadata(JsonParser parser, Command command, Complaints complaints) throws IOException {
        command.metadata = new TreeMap<>();
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            String text = textOf(parser, parser.nextToken());
            if (text == null) {
                complaints.payload("metadata." + name, "is not valid: input should be a valid string.");
                parser.skipChildren();
                text = "";
            }
            complaints.json = orUnclean(orUnclean(complaints.json, name), text);
            if (command.metadata.put(name, text) != null) {
                complaints.twice(name);
            }
        }
        if (command.metadata.size() > METADATA_PAIRS_MAX) {
            complaints.payload("metadata", "is not valid: dictionary should have at most 50 items.");
        }
    }

    private static String textOf(JsonParser parser, JsonToken token) throws IOException {
        return token == JsonToken.VALUE_STRING ? parser.getText() : null;
    }

    /** U+0000 and half a surrogate pair are in no string of ours. */
    private static String orUnclean(String complaint, String text) {
        if (complaint != null || text == null) {
            return complaint;
        }
        for (int at = 0; at < text.length(); at++) {
            char unit = text.charAt(at);
            if (unit == 0) {
                return "U+0000 is not allowed in any string.";
            }
            if (Character.isSurrogate(unit)) {
                if (Character.isLowSurrogate(unit)
                        || at + 1 == text.length()
                        || !Character.isLowSurrogate(text.charAt(++at))) {
                    return "The body is not valid JSON: half a surrogate pair.";
                }
            }
        }
        return null;
    }

    private static String complaintOfEnvelope(Command command, Complaints complaints) {
        if (!isCommandId(command.commandId)) {
            return "The command_id must be a UUID in lower case.";
        }
        if (!"charge.create".equals(command.type)) {
            return "The type is not an operation of this peer: it makes charges only.";
        }
        if ((complaints.seen & IDEMPOTENCY_KEY) == 0) {
            return "The member idempotency_key is required; null means none.";
        }
        if (complaints.envelope != null) {
            return complaints.envelope;
        }
        if ((complaints.seen & ISSUED_AT) == 0 || (complaints.seen & DEADLINE_AT) == 0) {
            return "The members issued_at and deadline_at must be Unix milliseconds.";
        }
        return (complaints.seen & PAYLOAD) == 0 ? "The body must be a JSON object." : null;
    }

    private static boolean isMerchantId(String text) {
        if (text == null || text.isEmpty() || text.length() > MERCHANT_LENGTH_MAX) {
            return false;
        }
        for (int at = 0; at < text.length(); at++) {
            char unit = text.charAt(at);
            if (!(unit >= 'a' && unit <= 'z' || unit >= '0' && unit <= '9' || unit == '_')) {
                return false;
            }
        }
        return true;
    }

    private static boolean isIdempotencyKey(String text) {
        if (text == null || text.isEmpty() || text.length() > KEY_LENGTH_MAX) {
            return false;
        }
        for (int at = 0; at < text.length(); at++) {
            if (text.charAt(at) < 0x20 || text.charAt(at) > 0x7E) {
                return false;
            }
        }
        return true;
    }

    private static boolean isCommandId(String text) {
        if (text == null || text.length() != 36) {
            return false;
        }
        for (int at = 0; at < 36; at++) {
            char unit = text.charAt(at);
            boolean isDash = at == 8 || at == 13 || at == 18 || at == 23;
            if (isDash ? unit != '-' : !(unit >= '0' && unit <= '9' || unit >= 'a' && unit <= 'f')) {
                return false;
            }
        }
        return true;
    }

    private static boolean sameAscii(byte[] key, String text) {
        if (key.length != text.length()) {
            return false;
        }
        for (int at = 0; at < key.length; at++) {
            if (key[at] != text.charAt(at)) {
                return false;
            }
        }
        return true;
    }
}
