package bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.Properties;
import org.apache.avro.Conversions.DecimalConversion;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions.TimestampMillisConversion;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** Kafka Streams as a contestant: Avro in, two fields changed, Avro out, until the process is killed. */
public final class Orders {
    private static final byte[] HEADER = {0, 0, 0, 0, 1};
    private static final BigDecimal CENT = new BigDecimal("0.01");

    private Orders() {}

    /** Arguments: bootstrap servers, topic read, topic written, application id, guarantee, folder, schema. */
    public static void main(String[] arguments) {
        Serde<byte[]> keys = Serdes.ByteArray();
        Serde<GenericRecord> values = new OrderSerde(new Schema.Parser().parse(arguments[6]));
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[1], Consumed.with(keys, values))
                .mapValues(Orders::change)
                .to(arguments[2], Produced.with(keys, values));
        new KafkaStreams(builder.build(), settings(arguments)).start();
    }

    private static GenericRecord change(GenericRecord order) {
        order.put("status", "seen");
        order.put("total", ((BigDecimal) order.get("total")).add(CENT));
        return order;
    }

    /** Tuned for throughput: large polls and batches, a commit a second. */
    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("application.id", arguments[3]);
        settings.put("processing.guarantee", arguments[4]);
        settings.put("state.dir", arguments[5]);
        settings.put("num.stream.threads", 1);
        settings.put("commit.interval.ms", 1000);
        settings.put("consumer.auto.offset.reset", "earliest");
        settings.put("consumer.max.poll.records", 5000);
        settings.put("producer.linger.ms", 20);
        settings.put("producer.batch.size", 262_144);
        return settings;
    }

    /** Generic records with decimals and timestamps as Java's own types, behind the registry's header. */
    private static final class OrderSerde implements Serde<GenericRecord> {
        private final Schema schema;
        private final GenericData model = new GenericData();

        OrderSerde(Schema schema) {
            this.schema = schema;
            model.addLogicalTypeConversion(new DecimalConversion());
            model.addLogicalTypeConversion(new TimestampMillisConversion());
        }

        @Override
        public Deserializer<GenericRecord> deserializer() {
            GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema, schema, model);
            return new Deserializer<>() {
                private BinaryDecoder decoder;

                @Override
                public GenericRecord deserialize(String topic, byte[] data) {
                    try {
                        decoder = DecoderFactory.get()
                                .binaryDecoder(data, HEADER.length, data.length - HEADER.length, decoder);
                        return reader.read(null, decoder);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                }
            };
        }

        @Override
        public Serializer<GenericRecord> serializer() {
            GenericDatumWriter<GenericRecord> writer = new GenericDatumWriter<>(schema, model);
            return new Serializer<>() {
                private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
                private BinaryEncoder encoder;

                @Override
                public byte[] serialize(String topic, GenericRecord order) {
                    try {
                        out.reset();
                        out.write(HEADER);
                        encoder = EncoderFactory.get().binaryEncoder(out, encoder);
                        writer.write(order, encoder);
                        encoder.flush();
                        return out.toByteArray();
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                }
            };
        }
    }
}
