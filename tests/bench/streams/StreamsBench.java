import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The work on Kafka Streams: one thread, a window store on RocksDB with its changelog, typed JSON.
 *
 * <p>The first argument is the processing guarantee, the second how often to commit, in
 * milliseconds. State is 32 fixed bytes, as a careful user would write it.
 */
public class StreamsBench {
    public enum Channel { voice, chat, email, sms, social, video, callback }

    public enum Kind { bot, human }

    public static class Event {
        public String event_id, type, interaction_id, customer_id, queue, agent_id;
        public Channel channel;
        public Kind agent_kind;
        public long ts;
        public double talk_s, hold_s, acw_s;
        public Integer csat;
    }

    public static class Aggregate {
        long events, answers, answered;
        double seconds;

        Aggregate add(Event event) {
            events++;
            seconds += event.talk_s + event.hold_s + event.acw_s;
            if (event.csat != null) {
                answers++;
                answered += event.csat;
            }
            return this;
        }

        byte[] pack() {
            return ByteBuffer.allocate(32)
                .putLong(events).putDouble(seconds).putLong(answers).putLong(answered).array();
        }

        static Aggregate unpack(byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            Aggregate found = new Aggregate();
            found.events = buffer.getLong();
            found.seconds = buffer.getDouble();
            found.answers = buffer.getLong();
            found.answered = buffer.getLong();
            return found;
        }

        byte[] json() {
            String text = "[" + events + "," + seconds + "," + answers + "," + answered + "]";
            return text.getBytes(StandardCharsets.US_ASCII);
        }
    }

    private static final ObjectReader READER = new ObjectMapper().readerFor(Event.class);
    private static long seen; // there is one stream thread

    private static Event parse(byte[] bytes) {
        Event event;
        try {
            event = READER.readValue(bytes);
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
        boolean negative = event.talk_s < 0 || event.hold_s < 0 || event.acw_s < 0;
        if (negative || event.csat != null && (event.csat < 1 || event.csat > 5)) {
            throw new IllegalArgumentException("out of range");
        }
        return event;
    }

    private static <T> Serde<T> serde(
            java.util.function.Function<T, byte[]> write,
            java.util.function.Function<byte[], T> read) {
        return Serdes.serdeFrom(
            (topic, value) -> value == null ? null : write.apply(value),
            (topic, bytes) -> bytes == null ? null : read.apply(bytes));
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode task = new ObjectMapper().readTree(System.getenv("BENCH_TASK"));
        String topic = task.get(1).asText(), output = task.get(2).asText();
        long windowMs = task.get(5).asLong(), events = task.get(6).asLong();

        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, task.get(3).asText());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.get(0).asText());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("BENCH_STATE"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[0]);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[1]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put("auto.offset.reset", "earliest");

        Serde<Event> eventSerde = serde(event -> new byte[0], StreamsBench::parse);
        Serde<Aggregate> state = serde(Aggregate::pack, Aggregate::unpack);
        Serde<Aggregate> json = serde(Aggregate::json, Aggregate::unpack);
        CountDownLatch done = new CountDownLatch(1);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(topic, Consumed.with(Serdes.String(), eventSerde)
                .withTimestampExtractor((record, before) -> ((Event) record.value()).ts))
            .peek((key, event) -> {
                if (seen == 0) {
                    System.out.println("BENCH_FIRST");
                }
            })
            .groupByKey(Grouped.with(Serdes.String(), eventSerde))
            .windowedBy(TimeWindows.ofSizeAndGrace(
                Duration.ofMillis(windowMs), Duration.ofHours(1)))
            .aggregate(Aggregate::new, (key, event, aggregate) -> {
                if (++seen == events) {
                    done.countDown();
                }
                return aggregate.add(event);
            }, Materialized.<String, Aggregate, WindowStore<Bytes, byte[]>>as("aggregates")
                .withKeySerde(Serdes.String()).withValueSerde(state))
            .toStream((window, aggregate) -> window.key() + "|" + window.window().start())
            .to(output, Produced.with(Serdes.String(), json));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        done.await();
        streams.close(Duration.ofSeconds(60)); // flushes the stores and commits
        System.out.println("BENCH_LAST " + seen);
        System.exit(0);
    }
}
