package payonce.peers;

import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.processor.StreamPartitioner;

/** A value on its way to a sink, and the number of the partition it goes to: that of its command. */
record Sent(byte[] value, int partition) {
    static final Serializer<Sent> SERIALIZER = (topic, sent) -> sent.value;

    /** Made once: a set for each record would be garbage. */
    static StreamPartitioner<byte[], Sent> partitioner(int partitions) {
        var each = IntStream.range(0, partitions).mapToObj(number -> Optional.of(Set.of(number))).toList();
        return (topic, key, sent, count) -> each.get(sent.partition);
    }
}
