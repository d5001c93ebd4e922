import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.format.EventFormat;
import io.cloudevents.http.HttpMessageFactory;
import io.cloudevents.http.impl.HttpMessageWriter;
import io.cloudevents.jackson.JsonCloudEventData;
import io.cloudevents.jackson.JsonFormat;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/**
 * Sends events with the Java SDK of CloudEvents: {@code java Client.java BASE_URL KEY < requests.json}
 *
 * <p>Reads a JSON array of requests (their form: ../client.ts) and sends each one. Writes a line of JSON for each:
 * status and body of the answer, or the error with which the SDK or the HTTP client refused to send it.
 */
public final class Client {
    private static final int TIMEOUT_MS = 30_000;
    private static final String BATCHED = "application/cloudevents-batch+json";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final URI url;
    private final String key;

    private Client(String baseUrl, String key) {
        this.url = URI.create(baseUrl + "/v1/events");
        this.key = key;
    }

    public static void main(String[] arguments) throws IOException {
        Client client = new Client(arguments[0], arguments[1]);
        for (JsonNode request : JSON.readTree(System.in)) {
            ObjectNode answer;
            try {
                answer = client.send(request);
            } catch (IOException | RuntimeException error) {
                answer = JSON.createObjectNode().put("error", error.toString());
            }
            System.out.println(JSON.writeValueAsString(answer));
        }
    }

    private ObjectNode send(JsonNode request) throws IOException {
        List<CloudEvent> events = new ArrayList<>();
        for (JsonNode sent : request.get("events")) events.add(eventOf(sent));
        HttpURLConnection connection = (HttpURLConnection) url.toURL().openConnection();
        connection.setConnectTimeout(TIMEOUT_MS);
        connection.setReadTimeout(TIMEOUT_MS);
        connection.setRequestMethod("POST");
        connection.setDoOutput(true);
        connection.setRequestProperty("Authorization", "Bearer " + key);
        connection.setRequestProperty("Prefer", "wait");
        HttpMessageWriter writer =
                HttpMessageFactory.createWriter(connection::setRequestProperty, body -> write(connection, body));
        boolean isBase64 = request.get("events").get(0).path("data").has("base64");
        switch (request.get("mode").asText()) {
            case "binary":
                writer.writeBinary(events.get(0));
                break;
            case "structured":
                writer.writeStructured(events.get(0), format(isBase64));
                break;
            default:
                connection.setRequestProperty("Content-Type", BATCHED);
                write(connection, batchOf(events));
        }
        return answerOf(connection);
    }

    /** The format can send data of JSON as base64, too. */
    private static EventFormat format(boolean isBase64) {
        return isBase64 ? new JsonFormat().withForceJsonDataToBase64() : new JsonFormat();
    }

    /** An array of events in the JSON format, for which the SDK has no function. */
    private static byte[] batchOf(List<CloudEvent> events) throws IOException {
        ByteArrayOutputStream batch = new ByteArrayOutputStream();
        for (CloudEvent event : events) {
            batch.write(batch.size() == 0 ? '[' : ',');
            batch.write(format(false).serialize(event));
        }
        batch.write(']');
        return batch.toByteArray();
    }

    private static void write(HttpURLConnection connection, byte[] body) {
        try {
            if (body != null) connection.getOutputStream().write(body);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static ObjectNode answerOf(HttpURLConnection connection) throws IOException {
        int status = connection.getResponseCode();
        try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            ObjectNode answer = JSON.createObjectNode().put("status", status);
            answer.set("body", JSON.readTree(body));
            return answer;
        }
    }

    private static CloudEvent eventOf(JsonNode sent) {
        JsonNode attributes = sent.get("attributes");
        boolean isOld = attributes.path("specversion").asText().equals("0.3");
        CloudEventBuilder event = isOld ? CloudEventBuilder.v03() : CloudEventBuilder.v1();
        for (Map.Entry<String, JsonNode> attribute : (Iterable<Map.Entry<String, JsonNode>>) attributes::fields) {
            String value = attribute.getValue().asText();
            switch (attribute.getKey()) {
                case "id": event.withId(value); break;
                case "source": event.withSource(URI.create(value)); break;
                case "type": event.withType(value); break;
                case "subject": event.withSubject(value); break;
                case "dataschema": event.withDataSchema(URI.create(value)); break;
                case "datacontenttype": event.withDataContentType(value); break;
                case "time": event.withTime(OffsetDateTime.parse(value)); break;
                default: break;
            }
        }
        sent.path("extensions").fields().forEachRemaining(
                extension -> setExtension(event, extension.getKey(), extension.getValue()));
        setData(event, sent.path("data"));
        return event.build();
    }

    /** Extensions have Java's own types. */
    private static void setExtension(CloudEventBuilder event, String name, JsonNode extension) {
        JsonNode value = extension.get("value");
        switch (extension.get("type").asText()) {
            case "integer": event.withExtension(name, (Number) value.asInt()); break;
            case "boolean": event.withExtension(name, (Boolean) value.asBoolean()); break;
            case "uri": event.withExtension(name, URI.create(value.asText())); break;
            case "timestamp": event.withExtension(name, OffsetDateTime.parse(value.asText())); break;
            case "binary": event.withExtension(name, Base64.getDecoder().decode(value.asText())); break;
            default: event.withExtension(name, value.asText());
        }
    }

    private static void setData(CloudEventBuilder event, JsonNode data) {
        if (data.has("json")) event.withData(JsonCloudEventData.wrap(data.get("json")));
        if (data.has("text")) event.withData(data.get("text").asText().getBytes(StandardCharsets.UTF_8));
        if (data.has("base64")) event.withData(Base64.getDecoder().decode(data.get("base64").asText()));
    }
}
