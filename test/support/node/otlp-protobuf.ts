import protobuf from 'protobufjs';

/** The part of OTLP's protocol that tests look at (opentelemetry-proto 1.x, trace/v1/trace.proto). */
const PROTOCOL = `
syntax = "proto3";
message Export { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes trace_id = 1;
  bytes span_id = 2;
  bytes parent_span_id = 4;
  string name = 5;
  int32 kind = 6;
  fixed64 start_time_unix_nano = 7;
  fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9;
  repeated Link links = 13;
  Status status = 15;
}
message Link { bytes trace_id = 1; bytes span_id = 2; }
message Status { string message = 2; int32 code = 3; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue {
  oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; }
}`;
const EXPORT = protobuf.parse(PROTOCOL).root.lookupType('Export');

/** An export as its JSON form has it: ids in hexadecimal. */
export function decodeExport(bytes: Uint8Array): unknown {
  const decoded = EXPORT.toObject(EXPORT.decode(bytes), { longs: String });
  return JSON.parse(
    JSON.stringify(decoded, function hexadecimal(key, value: unknown) {
      const raw: unknown = Reflect.get(this, key);
      return raw instanceof Uint8Array ? Buffer.from(raw).toString('hex') : value;
    }),
  );
}
