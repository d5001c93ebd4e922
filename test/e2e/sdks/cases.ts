import type { ClientName, Mode, SentEvent } from './client.ts';

/**
 * What becomes of an event: it is stored as it was given to the SDK, it is refused and kept in quarantine, or the SDK's
 * HTTP client does not send it. A pointer to a header is that of a request that is refused before it is an event.
 */
export type Expected =
  | 'stored'
  | { readonly code: string; readonly pointer: string }
  | { readonly notSent: RegExp };

/** Clients that get another outcome in some modes, because of what their SDK makes of the event. */
interface Exception {
  readonly clients: readonly ClientName[];
  readonly modes: readonly Mode[];
  readonly expected: Expected;
}

export interface Case {
  readonly title: string;
  readonly event: SentEvent;
  readonly expected: Expected;
  readonly except?: readonly Exception[];
}

const LINE = {
  invoice: '489434',
  sku: 'SDK1',
  description: 'Ein Herz für № 7',
  quantity: 6,
  unitPrice: 2.55,
  customerId: '17850',
  country: 'United Kingdom',
};
const TYPE = 'shop.purchase.v1';
const TIME = '2026-11-01T10:00:00Z';
const JSON_TYPE = 'application/json';
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** The attributes that a case has unless it says otherwise; the test adds a source. */
const withAttributes = (id: string, over: Record<string, string> = {}) => ({
  id,
  type: TYPE,
  time: TIME,
  datacontenttype: JSON_TYPE,
  ...over,
});
const data = { json: LINE };

/** The HTTP binding (1.0.2, §3.1.3.2) wants headers percent-encoded. Only the newer API for Python does that. */
const NOT_ENCODED: readonly ClientName[] = ['javascript', 'python-v1', 'go', 'java'];
const REFUSED_ID = { code: 'invalid_event', pointer: 'ce-id' } as const;

export const CASES: readonly Case[] = [
  {
    title: 'all attributes and extensions',
    event: {
      attributes: withAttributes('all', {
        subject: 'a till, by the door',
        dataschema: 'https://shop.example/schemas/line.json?v=1#top',
      }),
      extensions: {
        traceparent: { type: 'string', value: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
        tracestate: { type: 'string', value: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' },
        attempt: { type: 'integer', value: -7 },
        sampled: { type: 'boolean', value: true },
        dataref: { type: 'uri', value: 'https://shop.example/lines/1?a=b' },
        expirytime: { type: 'timestamp', value: '2026-12-01T00:00:00Z' },
        digest: { type: 'binary', value: base64('\u0000\u0001bytes') },
      },
      data,
    },
    expected: 'stored',
  },
  {
    title: 'no optional attribute',
    event: { attributes: { id: 'least', type: TYPE }, data },
    expected: 'stored',
    // Without a content type, Java's `HttpURLConnection` declares a form.
    except: [
      {
        clients: ['java'],
        modes: ['binary'],
        expected: { code: 'invalid_event', pointer: '/datacontenttype' },
      },
    ],
  },
  {
    title: 'an empty extension',
    event: {
      attributes: withAttributes('empty-extension'),
      extensions: { tracestate: { type: 'string', value: '' } },
      data,
    },
    expected: 'stored',
  },
  {
    title: 'a time with milliseconds',
    event: { attributes: withAttributes('milliseconds', { time: '2026-11-01T10:00:00.120Z' }), data },
    expected: 'stored',
  },
  {
    title: 'a time with microseconds',
    event: { attributes: withAttributes('microseconds', { time: '2026-11-01T10:00:00.123456Z' }), data },
    expected: 'stored',
  },
  {
    title: 'a time with an offset',
    event: { attributes: withAttributes('offset', { time: '2026-11-01T12:30:00+02:30' }), data },
    expected: 'stored',
  },
  {
    title: 'data as bytes of JSON',
    event: { attributes: withAttributes('bytes'), data: { base64: base64(JSON.stringify(LINE)) } },
    expected: 'stored',
  },
  {
    title: 'data of another JSON type',
    event: {
      attributes: withAttributes('vendor', { datacontenttype: 'application/vnd.shop.line+json' }),
      data,
    },
    expected: 'stored',
    // The Go SDK takes this type for a text, and sends the JSON as a JSON string.
    except: [
      {
        clients: ['go'],
        modes: ['structured', 'batch'],
        expected: { code: 'contract_violation', pointer: '/data' },
      },
    ],
  },
  {
    title: 'Latin letters with accents',
    event: { attributes: withAttributes('reçu-à-midi', { subject: 'Café Zoë' }), data },
    expected: 'stored',
    // `fetch` and `http.client` send these as ISO-8859-1, Go and Java as UTF-8.
    except: [{ clients: ['javascript', 'python-v1'], modes: ['binary'], expected: REFUSED_ID }],
  },
  {
    title: 'letters of other scripts',
    event: { attributes: withAttributes('№-七-😀', { subject: 'каса №\u00a07' }), data },
    expected: 'stored',
    except: [
      {
        clients: ['javascript', 'python-v1'],
        modes: ['binary'],
        expected: { notSent: /ByteString|latin-1/ },
      },
    ],
  },
  {
    title: 'quotes, blanks and percent signs',
    event: { attributes: withAttributes('50% "off" \\ a/b?c#d', { subject: '100 %' }), data },
    expected: 'stored',
    except: [{ clients: NOT_ENCODED, modes: ['binary'], expected: REFUSED_ID }],
  },
  {
    title: 'no data',
    event: { attributes: { id: 'no-data', type: TYPE, time: TIME } },
    expected: { code: 'contract_violation', pointer: '/data' },
  },
  {
    title: 'data of text',
    event: {
      attributes: withAttributes('text', { datacontenttype: 'text/plain' }),
      data: { text: 'six hearts' },
    },
    expected: { code: 'invalid_event', pointer: '/datacontenttype' },
  },
  {
    title: 'data of other bytes',
    event: {
      attributes: withAttributes('octets', { datacontenttype: 'application/octet-stream' }),
      data: { base64: Buffer.from([0, 255, 254, 128]).toString('base64') },
    },
    expected: { code: 'invalid_event', pointer: '/datacontenttype' },
  },
  {
    title: 'version 0.3 of the specification',
    event: { attributes: withAttributes('old', { specversion: '0.3' }), data },
    expected: { code: 'invalid_event', pointer: '/specversion' },
  },
  {
    title: 'a type that is not declared',
    event: { attributes: withAttributes('unheard-of', { type: 'shop.unheard-of.v1' }), data },
    expected: { code: 'unknown_event_type', pointer: '/type' },
  },
  {
    title: 'data that breaks the contract',
    event: { attributes: withAttributes('broken'), data: { json: { ...LINE, quantity: 'six' } } },
    expected: { code: 'contract_violation', pointer: '/data/quantity' },
  },
];

/** What becomes of the event of a case. */
export function expectedOf(client: ClientName, mode: Mode, { expected, except = [] }: Case): Expected {
  const exception = except.find(({ clients, modes }) => clients.includes(client) && modes.includes(mode));
  return exception?.expected ?? expected;
}

/** The event of a case in a mode, with the source of its client and an id of its own. */
export function sentBy(client: ClientName, mode: Mode, { event }: Case): SentEvent {
  const { id, ...attributes } = event.attributes;
  return { ...event, attributes: { ...attributes, id: `${mode}-${id}`, source: `/sdk/${client}?v=1` } };
}

/** What the status of a stored event shows, and the data that is stored. */
export function storedOf(
  client: ClientName,
  mode: Mode,
  { attributes, extensions = {}, data: given }: SentEvent,
) {
  const { source, id, type, subject = null, time, dataschema, datacontenttype } = attributes;
  const shown = Object.entries(extensions).map(([name, { value }]): [string, unknown] => [
    name,
    mode === 'binary' ? headerOf(client, value) : value,
  ]);
  if (dataschema !== undefined) shown.push(['dataschema', dataschema]);
  if (datacontenttype !== undefined && datacontenttype !== JSON_TYPE)
    shown.push(['datacontenttype', datacontenttype]);
  return {
    status: {
      source,
      id,
      type,
      subject,
      // To the millisecond, in UTC. An SDK may set the time of an event that has none.
      ...(time === undefined ? {} : { time: new Date(time).toISOString() }),
      ...(shown.length === 0 ? {} : { extensions: Object.fromEntries(shown) }),
    },
    data: given === undefined ? undefined : dataOf(given),
  };
}

/** In binary mode every value is a header, so a text. Python writes its own names of the booleans. */
function headerOf(client: ClientName, value: string | number | boolean): string {
  const text = String(value);
  const isPython = client === 'python' || client === 'python-v1';
  return isPython && typeof value === 'boolean' ? text.replace(/^./, (first) => first.toUpperCase()) : text;
}

function dataOf(given: NonNullable<SentEvent['data']>): unknown {
  if ('json' in given) return given.json;
  return JSON.parse('base64' in given ? Buffer.from(given.base64, 'base64').toString() : given.text);
}
