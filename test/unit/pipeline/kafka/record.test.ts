import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { messageOf } from '../../../../deploy/kafka-rest-bridge/received.ts';
import { eventOf } from '../../../../src/pipeline/kafka/binding.ts';
import { event, record } from './record.ts';

const header = (key: string, value: string) => ({ key, value });

describe('a record', () => {
  it('is the event in its value, in structured mode', () => {
    const value = JSON.stringify(event('1'));
    const type = header('Content-Type', 'application/cloudevents+json; charset=UTF-8');
    expect(eventOf(record({ value, headers: [type] }))).toEqual({ raw: event('1') });
    expect(eventOf(record({ value }))).toEqual({ raw: event('1') });
  });

  it('is the event of its headers, in binary mode', () => {
    const { data, ...attributes } = event('1');
    const headers = [
      ...Object.entries(attributes).map(([name, value]) => header(`ce_${name}`, value)),
      header('content-type', 'application/json'),
    ];
    const value = JSON.stringify(data);
    expect(eventOf(record({ value, headers }))).toEqual({
      raw: { ...event('1'), datacontenttype: 'application/json' },
    });
  });

  it('has data of another content type as text, and is judged by its own id', () => {
    const { data: _, ...attributes } = event('1');
    const headers = [
      ...Object.entries(attributes).map(([name, value]) => header(`ce_${name}`, value)),
      header('content-type', 'text/plain'),
    ];
    expect(eventOf(record({ value: 'hello', headers }))).toEqual({
      raw: { ...attributes, datacontenttype: 'text/plain', data: 'hello' },
    });
  });

  it('shows a misnamed attribute by its name, and a header of data by its full name', () => {
    const headers = [header('ce_specversion', '1.0'), header('ce_my-name', 'x'), header('ce_data', 'y')];
    expect(eventOf(record({ headers }))).toEqual({
      raw: { specversion: '1.0', 'my-name': 'x', ce_data: 'y' },
    });
  });

  it('is read in the mode that its content type names, beside headers of the other mode', () => {
    const value = JSON.stringify(event('1'));
    const headers = [
      header('content-type', 'application/cloudevents+json'),
      header('ce_specversion', '1.0'),
      header('ce_id', 'other'),
    ];
    expect(eventOf(record({ value, headers }))).toEqual({ raw: event('1') });
    const avro = [header('content-type', 'application/cloudevents+avro'), header('ce_specversion', '1.0')];
    expect(eventOf(record({ value, headers: avro }))).toMatchObject({
      refused: { reason: 'not_a_cloud_event' },
    });
  });

  it('is a tombstone if it has a key and no value, and an event without data if it has headers', () => {
    expect(eventOf(record({ key: 'k' }))).toMatchObject({
      refused: { reason: 'tombstone', raw: { kafka: { key: 'k' }, value: null } },
    });
    const headers = [header('ce_specversion', '1.0'), header('ce_id', '1')];
    expect(eventOf(record({ headers }))).toEqual({ raw: { specversion: '1.0', id: '1' } });
  });

  it('is quarantined as it came if its value, or a header that is read, is not UTF-8', () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1').toString('base64');
    const valueBase64 = bytes('{"id":"\xe9"}');
    const id = { key: 'ce_id', value: '', valueBase64: bytes('\xe9') };
    const refused = (raw: object, detail: string) => ({
      refused: { raw, reason: 'not_utf8', pointer: '', detail },
    });
    const at = { topic: 't', partition: 0, offset: 9, key: null };
    expect(eventOf(record({ offset: 9, value: '', valueBase64 }))).toEqual(
      refused({ kafka: { ...at, headers: [] }, valueBase64 }, 'The value of the record is not UTF-8.'),
    );
    const headers = [header('ce_specversion', '1.0'), id];
    expect(eventOf(record({ offset: 9, value: '1', headers }))).toEqual(
      refused({ kafka: { ...at, headers }, value: '1' }, 'The value of the header "ce_id" is not UTF-8.'),
    );
    // JSON in binary mode.
    const json = [header('ce_specversion', '1.0'), header('content-type', 'application/json')];
    expect(eventOf(record({ value: '', valueBase64, headers: json }))).toMatchObject({
      refused: { reason: 'not_utf8' },
    });
  });

  it('may have any bytes where no event is read from, and as data of another type', () => {
    const bytes = Buffer.from([0x00, 0xff]).toString('base64');
    const other = [
      { key: 'trace', value: '', valueBase64: bytes },
      { key: '', value: 'x', keyBase64: bytes },
    ];
    const value = JSON.stringify(event('1'));
    expect(eventOf(record({ key: '', keyBase64: bytes, value, headers: other }))).toEqual({
      raw: event('1'),
    });
    const { data: _, ...attributes } = event('1');
    const headers = [
      ...Object.entries(attributes).map(([name, text]) => header(`ce_${name}`, text)),
      header('content-type', 'application/x-protobuf'),
    ];
    expect(eventOf(record({ value: '', valueBase64: bytes, headers }))).toEqual({
      raw: { ...attributes, datacontenttype: 'application/x-protobuf', data_base64: bytes },
    });
  });

  it('keeps whatever bytes a producer wrote, through the bridge and the binding', () => {
    const anyBytes = fc.option(fc.uint8Array({ maxLength: 12 }), { nil: null });
    fc.assert(
      fc.property(anyBytes, fc.uint8Array({ maxLength: 4 }), (value, attribute) => {
        const headers: [Buffer, Uint8Array][] = [
          [Buffer.from('ce_specversion'), Buffer.from('1.0')],
          [Buffer.from('ce_id'), attribute],
          [Buffer.from('content-type'), Buffer.from('text/plain')],
        ];
        const at = { topic: 't', partition: 0, offset: 3, timestamp: 0 };
        const read = eventOf(messageOf(at, { key: null, value, headers }));
        const kept = z
          .looseObject({
            id: z.string().optional(),
            data: z.string().optional(),
            data_base64: z.string().optional(),
            value: z.string().nullish(),
            valueBase64: z.string().optional(),
            kafka: z
              .object({
                headers: z.array(z.object({ value: z.string(), valueBase64: z.string().optional() })),
              })
              .optional(),
          })
          .parse('raw' in read ? read.raw : read.refused.raw);
        const bytesOf = (text: string | null | undefined, base64: string | undefined) =>
          base64 === undefined ? Buffer.from(text ?? '') : Buffer.from(base64, 'base64');
        const id = kept.kafka?.headers[1] ?? { value: kept.id, valueBase64: undefined };
        expect([...bytesOf(id.value, id.valueBase64)]).toEqual([...attribute]);
        const content = bytesOf(kept.data ?? kept.value, kept.data_base64 ?? kept.valueBase64);
        expect([...content]).toEqual([...(value ?? [])]);
      }),
    );
  });

  it('is kept whole up to the size of an event, and as an excerpt beyond', () => {
    const value = 'x'.repeat(65_536);
    expect(eventOf(record({ value }))).toMatchObject({ refused: { raw: { value } } });
    const large = eventOf(record({ value: '"'.repeat(100_000), headers: [header('x', 'y'.repeat(50_000))] }));
    if (!('refused' in large)) throw new Error('The record is no event.');
    expect(large.refused.raw).toMatchObject({
      kafka: { topic: 't', partition: 0, offset: 0 },
      bytes: 250_105,
    });
    expect(JSON.stringify(large.refused.raw).length).toBeLessThan(20_000);
  });

  it('is quarantined with its content if it is not an event, and never throws', () => {
    fc.assert(
      fc.property(
        fc.option(fc.oneof(fc.string(), fc.json()), { nil: null }),
        fc.array(
          fc.record({
            key: fc.constantFrom('content-type', 'ce_specversion', 'ce_id', 'x'),
            value: fc.string(),
          }),
        ),
        (value, headers) => {
          const read = eventOf(record({ offset: 7, value, headers }));
          if ('raw' in read) return;
          expect(['not_a_cloud_event', 'malformed_json', 'tombstone']).toContain(read.refused.reason);
          expect(read.refused.raw).toMatchObject({ kafka: { topic: 't', partition: 0, offset: 7 } });
        },
      ),
    );
    const deep = `{"specversion":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
    expect(eventOf(record({ value: deep }))).toMatchObject({ refused: { reason: 'malformed_json' } });
    const other = [header('content-type', 'application/json')];
    expect(eventOf(record({ value: JSON.stringify(event('1')), headers: other }))).toMatchObject({
      refused: { reason: 'not_a_cloud_event' },
    });
  });
});
