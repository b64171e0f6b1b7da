package payonce.peers;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The limit: consume, copy, produce and commit under exactly-once, and do no work at all.
 *
 * <p>The loop of KafkaProducer's and Kafka's own `TransactionalMessageCopier`: offsets go into the transaction with
 * the group's metadata. A record keeps its value and its partition; its key is the command's id, as every answer's.
 */
public final class Copier implements ConsumerRebalanceListener {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final byte[] COMMAND_ID = "\"command_id\":\"".getBytes(StandardCharsets.US_ASCII);
    private static final int COMMAND_ID_LENGTH = 36;
    private static final int CLOSING_S = 8;

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final KafkaProducer<byte[], byte[]> producer;
    private final String replies;
    private final int pollsPerTransaction;
    private final Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    private int polls;
    private boolean isReady;
    private volatile boolean isEnding;

    private Copier(Arguments arguments) {
        String namespace = arguments.text("namespace");
        consumer = new KafkaConsumer<>(consumerSettings(arguments, namespace));
        producer = new KafkaProducer<>(producerSettings(arguments, namespace));
        replies = Topics.in(namespace, Topics.REPLIES);
        pollsPerTransaction = arguments.number("per-transaction");
        producer.initTransactions();
        consumer.subscribe(List.of(Topics.in(namespace, Topics.COMMANDS)), this);
    }

    public static void main(String[] given) {
        CountDownLatch closed = new CountDownLatch(1);
        try {
            Copier copier = new Copier(new Arguments(given));
            Ending.onTerm(() -> {
                copier.isEnding = true;
                copier.consumer.wakeup();
                await(closed);
            });
            copier.run();
        } catch (RuntimeException error) {
            Ending.failed(error);
        } finally {
            closed.countDown();
        }
    }

    private static void await(CountDownLatch closed) {
        try {
            closed.await(CLOSING_S, TimeUnit.SECONDS);
        } catch (InterruptedException impossible) {
            Thread.currentThread().interrupt();
        }
    }

    private static Map<String, Object> consumerSettings(Arguments arguments, String namespace) {
        Map<String, Object> settings = new HashMap<>();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("bootstrap"));
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, Topics.group(namespace));
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, arguments.number("max-poll-records"));
        settings.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
        settings.put(ConsumerConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        return settings;
    }

    private static Map<String, Object> producerSettings(Arguments arguments, String namespace) {
        Map<String, Object> settings = new HashMap<>();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("bootstrap"));
        settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, namespace + ".copier-" + UUID.randomUUID());
        settings.put(ProducerConfig.BATCH_SIZE_CONFIG, 512 * 1024);
        settings.put(ProducerConfig.BUFFER_MEMORY_CONFIG, 128L << 20);
        settings.put(ProducerConfig.LINGER_MS_CONFIG, 20);
        settings.put(ProducerConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        return settings;
    }

    private void run() {
        try {
            while (!isEnding) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
                if (!records.isEmpty()) {
                    copy(records);
                }
                // Nothing more to read: whoever waits for an answer has waited long enough.
                if (polls >= pollsPerTransaction || records.isEmpty()) {
                    commit();
                }
            }
            commit();
        } catch (WakeupException ending) {
            commit();
        }
        consumer.close();
        producer.close();
    }

    private void copy(ConsumerRecords<byte[], byte[]> records) {
        if (polls++ == 0) {
            producer.beginTransaction();
        }
        for (ConsumerRecord<byte[], byte[]> record : records) {
            producer.send(new ProducerRecord<>(replies, record.partition(), keyOf(record), record.value()));
        }
        offsets.putAll(records.nextOffsets());
    }

    private void commit() {
        if (polls > 0) {
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            producer.commitTransaction(); // throws what any send of it has met
        }
        polls = 0;
        offsets.clear();
    }

    private static byte[] keyOf(ConsumerRecord<byte[], byte[]> record) {
        byte[] value = record.value();
        int last = value == null ? -1 : value.length - COMMAND_ID_LENGTH - COMMAND_ID.length;
        for (int at = 0; at <= last; at++) {
            int from = at + COMMAND_ID.length;
            if (value[at] == '"' && Arrays.equals(value, at, from, COMMAND_ID, 0, COMMAND_ID.length)) {
                return Arrays.copyOfRange(value, from, from + COMMAND_ID_LENGTH);
            }
        }
        return record.key();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        if (!isReady) {
            isReady = true;
            System.out.println("ready");
        }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit();
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        if (polls > 0) {
            producer.abortTransaction();
        }
        polls = 0;
        offsets.clear();
    }
}
