package payonce.peers;

import java.util.Map;
import java.util.TreeMap;

/** One command as it was read: its envelope and the payload of a charge that is to be made. */
final class Command {
    String commandId;
    String type;
    String merchantId;
    String idempotencyKey;
    long deadlineAt;

    long amount;
    boolean hasCapture;
    Boolean capture;
    String currency;
    boolean hasDescription;
    String description;
    boolean hasMetadata;
    /** In the order of RFC 8785, which is that of Java's strings; null where it was null or absent. */
    TreeMap<String, String> metadata;
    String paymentMethod;

    /** Why it is not executed: the reason of its dead letter; null where it obeys every rule. */
    String reason;
    /** The code and the detail of the answer to it; no code where nobody can be answered. */
    String code;
    String detail;

    /** Whether an answer can be addressed. */
    boolean isAnswerable() {
        return code != null;
    }

    /** The record key in the store: a merchant's id holds no slash, so that the first one always separates. */
    String storeKey() {
        return idempotencyKey != null ? merchantId + "/" + idempotencyKey : "@command/" + merchantId + "/" + commandId;
    }

    /** The RFC 8785 form of `{type, payload as received}`: members sorted, nothing filled in. */
    void writeCanonical(Bytes out) {
        out.ascii("{\"payload\":{\"amount\":").number(amount);
        if (hasCapture) {
            out.ascii(",\"capture\":").ascii(String.valueOf(capture));
        }
        out.ascii(",\"currency\":\"").ascii(currency).ascii("\"");
        if (hasDescription) {
            out.ascii(",\"description\":").text(description);
        }
        if (hasMetadata) {
            out.ascii(",\"metadata\":");
            writeMetadata(out, "null");
        }
        out.ascii(",\"payment_method\":\"").ascii(paymentMethod).ascii("\"},\"type\":\"charge.create\"}");
    }

    void writeMetadata(Bytes out, String whenAbsent) {
        if (metadata == null) {
            out.ascii(whenAbsent);
            return;
        }
        String before = "{";
        for (Map.Entry<String, String> pair : metadata.entrySet()) {
            out.ascii(before).text(pair.getKey()).ascii(":").text(pair.getValue());
            before = ",";
        }
        out.ascii(metadata.isEmpty() ? "{}" : "}");
    }
}
