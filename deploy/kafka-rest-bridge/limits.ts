/** The limits of the bridge. A request beyond a limit is refused with a message that names the limit. */

/** Bytes of a request's body: enough for a thousand messages of some kilobytes, and small enough to hold in memory. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Messages of a produce request. */
export const MESSAGES_PER_PRODUCE_MAX = 10_000;
/** Bytes of a message with its key and headers: Kafka's own default, `message.max.bytes`. */
export const MESSAGE_BYTES_MAX = 1_048_588;
/** Headers of a message. */
export const HEADERS_PER_MESSAGE_MAX = 100;
/** Messages of one fetch or consume answer, as in Kafka's consumers by default. */
export const MESSAGES_PER_ANSWER_MAX = 500;
/** Bytes of messages in one answer; one message is returned even if it is larger. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Partitions that a request may name, and topics that a consumer may subscribe to. */
export const PARTITIONS_PER_REQUEST_MAX = 1_000;
export const TOPICS_PER_CONSUMER_MAX = 100;
/** The default and the longest time that a fetch or consume waits for messages, in milliseconds. */
export const WAIT_MS_DEFAULT = 1_000;
export const WAIT_MS_MAX = 60_000;
/** The same for `committed` and `offsets`, which wait for the cluster. */
export const METADATA_WAIT_MS_DEFAULT = 10_000;
/** Characters of a consumer group's or an instance's name. */
export const NAME_CHARS_MAX = 249;
/** Consumer instances of one bridge: each holds a connection to the cluster. */
export const INSTANCES_MAX = 256;
/** Concurrent requests. Long polls are cheap, but each holds its answer. */
export const REQUESTS_MAX = 1_024;

export const AUTO_COMMIT_MS_DEFAULT = 5_000;
export const AUTO_COMMIT_MS_MIN = 100;
export const AUTO_COMMIT_MS_MAX = 3_600_000;

/** The idle time after which an instance is closed, in milliseconds; the bounds are a broker's. */
export const SESSION_MS_DEFAULT = 120_000;
export const SESSION_MS_MIN = 1_000;
export const SESSION_MS_MAX = 1_800_000;

/** How long a stop waits for current requests and for consumers to leave, in milliseconds. */
export const STOP_MS_MAX = 10_000;
