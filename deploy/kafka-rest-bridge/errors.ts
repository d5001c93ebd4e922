/** A refusal that the caller sees as `{error, status}`. */
export class RequestError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
  }
}

/** The requested offset is not in the partition: older than the retained records, or beyond the end. */
export class OffsetOutOfRange extends RequestError {
  readonly topic: string;
  readonly partition: number;
  constructor(
    at: { topic: string; partition: number; offset: number },
    kept?: { start: number; end: number },
  ) {
    const range = kept === undefined ? '' : `, which has offsets ${kept.start} to ${kept.end}`;
    super(416, `Offset ${at.offset} is not in partition ${at.partition} of topic ${at.topic}${range}.`);
    this.topic = at.topic;
    this.partition = at.partition;
  }
}

export function unknownTopic(topic: string): RequestError {
  return new RequestError(404, `There is no topic ${topic}.`);
}

export function unknownPartition(topic: string, partition: number): RequestError {
  return new RequestError(404, `Topic ${topic} has no partition ${partition}.`);
}
