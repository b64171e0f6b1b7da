package payonce.peers;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * What a command comes to: a key record, a charge event and an answer; the answer once more; or a refusal.
 *
 * <p>One to a task, so to a partition. The store's changelog is `keys`; the key record goes nowhere else.
 */
final class Charging implements Processor<byte[], byte[], byte[], Sent> {
    static final String STORE = "keys";
    private static final long WINDOW_MS = 24 * 3_600_000L;
    private static final int PASSED_ON_BYTES_MAX = 1024;
    private static final DateTimeFormatter RFC_3339 =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
    private static final byte[] CLOUD_EVENTS_VERSION = "1.0".getBytes(StandardCharsets.US_ASCII);

    private final String namespace;
    private final int partitions;
    private final Hash hash = new Hash();
    private final Bytes body = new Bytes();
    private final Bytes quoted = new Bytes();
    private final Bytes out = new Bytes();

    private ProcessorContext<byte[], Sent> context;
    private KeyValueStore<String, byte[]> keys;
    private Reader reader;
    private int partition;
    private long clock = -1;
    private long timeOf = -1;
    private byte[] time;

    Charging(String namespace, int partitions) {
        this.namespace = namespace;
        this.partitions = partitions;
    }

    @Override
    public void init(ProcessorContext<byte[], Sent> given) {
        context = given;
        keys = given.getStateStore(STORE);
        partition = given.taskId().partition();
        reader = new Reader(partition, partitions);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        clock = Math.max(clock, record.timestamp());
        Command command = reader.read(record.key(), record.value());
        if (command.reason != null) {
            bury(record, command);
            return;
        }
        command.writeCanonical(out.clear());
        String fingerprint = hash.of(out);
        byte[] known = keys.get(command.storeKey());
        KeyRecord first = known == null ? null : KeyRecord.read(reader.json(), known);
        if (first != null && clock < first.expiresAt) {
            answerAgain(record, command, fingerprint, first);
        } else if (clock > command.deadlineAt) {
            refuse(record, command, Problem.COMMAND_EXPIRED, null);
        } else {
            execute(record, command, fingerprint);
        }
    }

    private void answerAgain(Record<byte[], byte[]> record, Command command, String fingerprint, KeyRecord first) {
        if (!first.fingerprint.equals(fingerprint)) {
            refuse(record, command, Problem.IDEMPOTENCY_KEY_REUSED, null);
            return;
        }
        quoted.clear().text(first.body);
        reply(record, command, first.status, !first.commandId.equals(command.commandId));
    }

    private void refuse(Record<byte[], byte[]> record, Command command, Problem problem, String detail) {
        problem.write(body.clear(), detail);
        quoted.clear().quoted(body);
        reply(record, command, problem.status, false);
    }

    private void execute(Record<byte[], byte[]> record, Command command, String fingerprint) {
        String eventId = hash.derived("evt", command);
        String chargeId = hash.derived("ch", command);
        String declined = Reader.PAYMENT_METHODS.get(command.paymentMethod);
        boolean isDeclined = !declined.isEmpty();
        boolean isHeld = Boolean.FALSE.equals(command.capture);
        String status = isDeclined ? "declined" : isHeld ? "authorized" : "succeeded";
        writeCharge(command, chargeId, status, declined);
        forwardEvent(record, command, eventId, chargeId, status);
        if (isDeclined) {
            Problem.CARD_DECLINED.writeDecline(body.clear(), chargeId, declined);
        }
        quoted.clear().quoted(body);
        int answered = isDeclined ? Problem.CARD_DECLINED.status : 201;
        writeKeyRecord(command, fingerprint, answered, chargeId, eventId);
        keys.put(command.storeKey(), out.copy());
        reply(record, command, answered, false);
    }

    /** In RFC 8785 form, since it is the answer too. */
    private void writeCharge(Command command, String chargeId, String status, String declined) {
        boolean isCaptured = status.equals("succeeded");
        body.clear()
                .ascii("{\"amount\":").number(command.amount)
                .ascii(",\"amount_captured\":").number(isCaptured ? command.amount : 0)
                .ascii(",\"amount_refunded\":0,\"captured\":").ascii(isCaptured ? "true" : "false")
                .ascii(",\"created_at\":").number(clock)
                .ascii(",\"currency\":\"").ascii(command.currency).ascii("\"");
        if (!declined.isEmpty()) {
            body.ascii(",\"decline_code\":\"").ascii(declined).ascii("\"");
        }
        body.ascii(",\"description\":").text(command.description)
                .ascii(",\"id\":\"").ascii(chargeId)
                .ascii("\",\"merchant_id\":\"").ascii(command.merchantId)
                .ascii("\",\"metadata\":");
        command.writeMetadata(body, "{}");
        body.ascii(",\"object\":\"charge\",\"payment_method\":\"").ascii(command.paymentMethod)
                .ascii("\",\"status\":\"").ascii(status).ascii("\"}");
    }

    private void forwardEvent(
            Record<byte[], byte[]> record, Command command, String eventId, String chargeId, String status) {
        String type = "charge." + status;
        out.clear()
                .ascii("{\"event_id\":\"").ascii(eventId)
                .ascii("\",\"type\":\"").ascii(type)
                .ascii("\",\"charge_id\":\"").ascii(chargeId)
                .ascii("\",\"merchant_id\":\"").ascii(command.merchantId)
                .ascii("\",\"amount\":").number(command.amount)
                .ascii(",\"currency\":\"").ascii(command.currency)
                .ascii("\",\"sequence\":1,\"occurred_at\":").number(clock)
                .ascii(",\"command_id\":\"").ascii(command.commandId)
                .ascii("\",\"idempotency_key\":").text(command.idempotencyKey)
                .ascii(",\"data\":{\"charge\":").raw(body.array(), body.length()).ascii("}}");
        Headers headers = new RecordHeaders();
        headers.add("ce_specversion", CLOUD_EVENTS_VERSION);
        headers.add("ce_id", ascii(eventId));
        headers.add("ce_source", ascii("/" + namespace + "/" + command.merchantId));
        headers.add("ce_type", ascii("payonce." + type + ".v1"));
        headers.add("ce_time", time());
        passOn(record.headers(), headers, false);
        context.forward(new Record<>(ascii(chargeId), sent(), record.timestamp(), headers), Topics.CHARGES);
    }

    private void writeKeyRecord(Command command, String fingerprint, int status, String chargeId, String eventId) {
        out.clear()
                .ascii("{\"merchant_id\":\"").ascii(command.merchantId)
                .ascii("\",\"idempotency_key\":").text(command.idempotencyKey)
                .ascii(",\"operation\":\"charge.create\",\"fingerprint\":\"").ascii(fingerprint)
                .ascii("\",\"status\":").number(status)
                .ascii(",\"body\":").raw(quoted.array(), quoted.length())
                .ascii(",\"charge_id\":\"").ascii(chargeId)
                .ascii("\",\"event_id\":\"").ascii(eventId)
                .ascii("\",\"command_id\":\"").ascii(command.commandId)
                .ascii("\",\"offset\":").number(offset())
                .ascii(",\"completed_at\":").number(clock)
                .ascii(",\"expires_at\":").number(clock + WINDOW_MS)
                .ascii("}");
    }

    /** The answer whose body stands in `quoted`. */
    private void reply(Record<byte[], byte[]> record, Command command, int status, boolean isReplayed) {
        out.clear()
                .ascii("{\"command_id\":\"").ascii(command.commandId)
                .ascii("\",\"merchant_id\":\"").ascii(command.merchantId)
                .ascii("\",\"idempotency_key\":").text(command.idempotencyKey)
                .ascii(",\"status\":").number(status)
                .ascii(isReplayed ? ",\"replayed\":true" : ",\"replayed\":false")
                .ascii(",\"body\":").raw(quoted.array(), quoted.length())
                .ascii("}");
        Headers headers = new RecordHeaders();
        passOn(record.headers(), headers, true);
        context.forward(
                new Record<>(ascii(command.commandId), sent(), record.timestamp(), headers), Topics.REPLIES);
    }

    private void bury(Record<byte[], byte[]> record, Command command) {
        Headers headers = new RecordHeaders();
        headers.add("topic", ascii(Topics.in(namespace, Topics.COMMANDS)));
        headers.add("partition", ascii(Integer.toString(partition)));
        headers.add("offset", ascii(Long.toString(offset())));
        headers.add("reason", ascii(command.reason));
        Sent asReceived = new Sent(record.value(), partition);
        context.forward(
                new Record<>(record.key(), asReceived, record.timestamp(), headers), Topics.DEAD_LETTERS);
        if (command.isAnswerable()) {
            refuse(record, command, Problem.of(command.code), command.detail);
        }
    }

    /** What a command's sender wants to see again, unless it is longer than anybody needs. */
    private static void passOn(Headers from, Headers to, boolean isReply) {
        int length = 0;
        for (Header header : from) {
            length += isPassedOn(header) && header.value() != null ? header.value().length : 0;
        }
        if (length > PASSED_ON_BYTES_MAX) {
            return;
        }
        for (Header header : from) {
            if (isPassedOn(header) && (isReply || header.key().equals("traceparent"))) {
                to.add(header);
            }
        }
    }

    private static boolean isPassedOn(Header header) {
        return header.key().equals("reply_to") || header.key().equals("traceparent");
    }

    /** The broker stamps whole batches, so that a clock comes again and again. */
    private byte[] time() {
        if (timeOf != clock) {
            timeOf = clock;
            time = ascii(RFC_3339.format(Instant.ofEpochMilli(clock)));
        }
        return time;
    }

    private long offset() {
        return context.recordMetadata().orElseThrow().offset();
    }

    private Sent sent() {
        return new Sent(out.copy(), partition);
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }
}
