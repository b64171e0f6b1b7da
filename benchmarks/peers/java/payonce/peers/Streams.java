package payonce.peers;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The processor's work as a Kafka Streams application under exactly_once_v2; docs/peers.md says why it is set so. */
public final class Streams {
    private static final Duration CLOSING = Duration.ofSeconds(6);

    private Streams() { }

    public static void main(String[] given) {
        Arguments arguments = new Arguments(given);
        KafkaStreams streams = new KafkaStreams(topology(arguments), settings(arguments));
        streams.setUncaughtExceptionHandler(error -> {
            Ending.failed(error);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        boolean[] said = {false};
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING && !said[0]) {
                said[0] = true; // the listener is called under a lock
                System.out.println("ready");
            }
        });
        Ending.onTerm(() -> streams.close(CLOSING));
        streams.start();
    }

    private static Topology topology(Arguments arguments) {
        String namespace = arguments.text("namespace");
        int partitions = arguments.number("partitions");
        var bytes = Serdes.ByteArray();
        StoreBuilder<KeyValueStore<String, byte[]>> keys = Stores.keyValueStoreBuilder(
                arguments.text("store").equals("rocksdb")
                        ? Stores.persistentKeyValueStore(Charging.STORE)
                        : Stores.inMemoryKeyValueStore(Charging.STORE),
                Serdes.String(),
                bytes);
        keys = keys.withLoggingEnabled(Map.of());
        keys = arguments.text("caching").equals("on") ? keys.withCachingEnabled() : keys.withCachingDisabled();
        Topology topology = new Topology()
                .addSource(
                        Topics.COMMANDS,
                        bytes.deserializer(),
                        bytes.deserializer(),
                        Topics.in(namespace, Topics.COMMANDS))
                .addProcessor("charging", () -> new Charging(namespace, partitions), Topics.COMMANDS)
                .addStateStore(keys, "charging");
        for (String sink : new String[] {Topics.CHARGES, Topics.REPLIES, Topics.DEAD_LETTERS}) {
            topology.addSink(
                    sink,
                    Topics.in(namespace, sink),
                    bytes.serializer(),
                    Sent.SERIALIZER,
                    Sent.partitioner(partitions),
                    "charging");
        }
        return topology;
    }

    private static Properties settings(Arguments arguments) {
        Map<String, Object> settings = new HashMap<>();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, Topics.group(arguments.text("namespace")));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("bootstrap"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.text("state-dir"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.number("threads"));
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.number("commit-interval-ms"));
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 2_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 512 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L << 20);
        arguments.override(settings);
        Properties properties = new Properties();
        properties.putAll(settings);
        return properties;
    }
}
