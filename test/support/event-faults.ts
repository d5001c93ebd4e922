/** An event as a sender means it: attributes, and data in JSON. The modes of HTTP write it differently. */
export interface SentEvent {
  readonly attributes: Readonly<Record<string, string>>;
  readonly data?: unknown;
}

/** The verdict on a fault, the same in every mode. */
export interface Fault {
  readonly name: string;
  readonly change: (event: SentEvent) => SentEvent;
  readonly status: 422;
  readonly code: string;
  readonly pointer: string;
}

const PURCHASE = {
  invoice: '1',
  sku: 'F1',
  description: 'A',
  quantity: 1,
  unitPrice: 2,
  customerId: 'F1',
  country: 'UK',
};

/** An event of the fixture's catalog without a fault. */
export function validEvent(id: string): SentEvent {
  return {
    attributes: {
      specversion: '1.0',
      id,
      source: '/faults',
      type: 'shop.purchase.v1',
      time: '2026-11-01T10:00:00Z',
    },
    data: PURCHASE,
  };
}

const attribute = (name: string, value: string) => (event: SentEvent) => ({
  ...event,
  attributes: { ...event.attributes, [name]: value },
});
const without = (name: string) => (event: SentEvent) => ({
  ...event,
  attributes: Object.fromEntries(Object.entries(event.attributes).filter(([own]) => own !== name)),
});
const data = (change: Record<string, unknown>) => (event: SentEvent) => ({
  ...event,
  data: { ...PURCHASE, ...change },
});
const fault = (name: string, change: Fault['change'], code: string, pointer: string): Fault => ({
  ...{ name, change, status: 422, code, pointer },
});
const invalid = (name: string, change: Fault['change'], pointer: string) =>
  fault(name, change, 'invalid_event', pointer);

/** Faults that every mode can express. An empty header is an absent one for some clients, and is no part of this table. */
export const FAULTS: readonly Fault[] = [
  invalid('no id', without('id'), '/id'),
  invalid('no source', without('source'), '/source'),
  invalid('no type', without('type'), '/type'),
  invalid('another specversion', attribute('specversion', '0.3'), '/specversion'),
  invalid('an id that is too long', attribute('id', 'x'.repeat(257)), '/id'),
  invalid('an id that no path can contain', attribute('id', '..'), '/id'),
  invalid('a NUL in the id', attribute('id', 'a\u0000b'), '/id'),
  invalid('a source that is too long', attribute('source', `/${'x'.repeat(512)}`), '/source'),
  invalid('a source with a blank', attribute('source', '/a b'), '/source'),
  invalid('a source with another character than ASCII', attribute('source', '/ü'), '/source'),
  invalid('a type that is too long', attribute('type', 'x'.repeat(257)), '/type'),
  invalid('a time that is none', attribute('time', 'yesterday'), '/time'),
  invalid('a time before 1970', attribute('time', '1969-12-31T23:59:59Z'), '/time'),
  fault('a time in the future', attribute('time', '2099-01-01T00:00:00Z'), 'quality_violation', '/time'),
  invalid('a subject that is too long', attribute('subject', 'x'.repeat(513)), '/subject'),
  invalid('data of another type', attribute('datacontenttype', 'text/csv'), '/datacontenttype'),
  invalid('a dataschema that is no URI', attribute('dataschema', 'a b'), '/dataschema'),
  invalid('an extension that is too long', attribute('note', 'x'.repeat(4_097)), '/note'),
  invalid('an extension with a control character', attribute('note', 'a\u0007b'), '/note'),
  invalid('an extension whose name is too long', attribute('n'.repeat(65), 'x'), `/${'n'.repeat(65)}`),
  fault('an unknown type', attribute('type', 'shop.nothing.v1'), 'unknown_event_type', '/type'),
  fault('an unknown version', attribute('type', 'shop.purchase.v99'), 'unknown_event_version', '/type'),
  fault('a type without a version', attribute('type', 'shop.purchase'), 'unknown_event_version', '/type'),
  fault('no data', ({ attributes }) => ({ attributes }), 'contract_violation', '/data'),
  fault('data that are null', (event) => ({ ...event, data: null }), 'contract_violation', '/data'),
  fault('data that are a list', (event) => ({ ...event, data: [PURCHASE] }), 'contract_violation', '/data'),
  fault('data without a member', data({ sku: undefined }), 'contract_violation', '/data/sku'),
  fault('a member of another type', data({ quantity: '1' }), 'contract_violation', '/data/quantity'),
  fault('a member that breaks a rule', data({ quantity: 0 }), 'quality_violation', '/data/quantity'),
  fault('a NUL in the data', data({ invoice: 'a\u0000b' }), 'contract_violation', '/data/invoice'),
  fault('half a pair in the data', data({ note: '\ud83d' }), 'contract_violation', '/data/note'),
  fault('an event that is too large', data({ note: 'x'.repeat(70_000) }), 'event_too_large', ''),
];

/** How a request carries an event (CloudEvents HTTP Protocol Binding 1.0.2, §3). */
export type Mode = 'structured' | 'binary' | 'batched';
export const MODES: readonly Mode[] = ['structured', 'binary', 'batched'];

/** The headers and the body of an event in a mode. */
export function inMode(
  mode: Mode,
  { attributes, data: content }: SentEvent,
): { readonly headers: Record<string, string>; readonly body: string } {
  const json = { ...attributes, ...(content === undefined ? {} : { data: content }) };
  if (mode === 'structured')
    return { headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(json) };
  if (mode === 'batched')
    return {
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify([json]),
    };
  const { datacontenttype = 'application/json', ...others } = attributes;
  const headers = Object.entries(others).map(([name, value]) => [`ce-${name}`, percentEncoded(value)]);
  return {
    headers: { ...Object.fromEntries(headers), 'content-type': datacontenttype },
    body: content === undefined ? '' : JSON.stringify(content),
  };
}

/** §3.1.3.2: every character but the printable ones of ASCII, and of those the blank, the quote and the percent sign. */
function percentEncoded(value: string): string {
  return value.replaceAll(/[^!#$&-~]/gu, (character) => encodeURIComponent(character));
}
