import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { strToU8, zipSync } from 'fflate';
import type { LineEvent } from '../../import/event.ts';
import type { InvoiceLine } from '../../import/line.ts';
import { inspectFile, readSource } from '../../import/source.ts';

export const HEADER_II = 'Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country';
export const HEADER_I = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country';

/** A request as it came to the endpoint. */
export interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly url: string | undefined;
  readonly bytes: number;
  readonly events: readonly LineEvent[];
}

/** Answers one request with events itself and returns true, or leaves it to the endpoint. */
type Intercept = (count: number, response: ServerResponse, store: () => void) => boolean;

export interface Endpoint extends AsyncDisposable {
  readonly url: string;
  readonly received: Received[];
  /** Every event that was stored, by id. */
  readonly stored: Map<string, LineEvent>;
  /** Events that were sent again and recognised. */
  readonly duplicates: () => number;
  intercept: Intercept;
}

/** A problem document, as Millrace answers it. */
export function problemOf(status: number, code: string, detail: string): string {
  return JSON.stringify({ type: 'about:blank', title: 'A title', status, code, detail, requestId: 'r' });
}

/** What the routes that the importer reads say of the stored events. Features have folded every one of them. */
function answerTo(url: string, stored: ReadonlyMap<string, LineEvent>): [status: number, body: string] {
  if (url === '/health/live') return [200, '{"status":"ok"}'];
  if (url.startsWith('/v1/admin/pipeline?')) {
    const purchases = [...stored.values()].filter(({ type }) => type === 'shop.purchase.v1');
    const folded = { product: purchases.length, customer: purchases.length };
    const counts = { events: { stored: 0 }, quarantine: {}, outbox: { pending: 0 }, features: { folded } };
    return [200, JSON.stringify(counts)];
  }
  const [, id] = /^\/v1\/events\/%2Fimports%2Fonline-retail\/([^/]+)$/.exec(url) ?? [];
  const event = stored.get(decodeURIComponent(id ?? ''));
  if (event === undefined) return [404, problemOf(404, 'not_found', 'There is no such event.')];
  return [200, JSON.stringify({ id: event.id, status: 'stored', time: event.time })];
}

/**
 * Millrace's routes on a real socket, as the importer uses them: stores by id before it answers, quarantines what is not
 * positive.
 */
export async function startEndpoint(stored = new Map<string, LineEvent>()): Promise<Endpoint> {
  const received: Received[] = [];
  let duplicates = 0;
  let requests = 0;
  const judge = (events: readonly LineEvent[]) => {
    const receipt = { accepted: 0, duplicates: 0, quarantined: 0, verdicts: [] as object[] };
    events.forEach((event, index) => {
      const known = stored.has(event.id);
      stored.set(event.id, event);
      const { quantity } = event.data;
      if (known) {
        receipt.duplicates += 1;
        receipt.verdicts.push({ index, id: event.id, verdict: 'duplicate' });
      } else if (typeof quantity === 'number' && quantity > 0) receipt.accepted += 1;
      else {
        receipt.quarantined += 1;
        const reason = typeof quantity === 'string' ? 'contract_violation' : 'quantity_not_positive';
        receipt.verdicts.push({
          index,
          id: event.id,
          verdict: 'quarantined',
          code: reason,
          reason,
          detail: 'No.',
        });
      }
    });
    duplicates += receipt.duplicates;
    return receipt;
  };
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      const [status, body] = answerTo(request.url ?? '', stored);
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      return;
    }
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const events: LineEvent[] = JSON.parse(body.toString());
    received.push({ headers: request.headers, url: request.url, bytes: body.length, events });
    requests += 1;
    if (endpoint.intercept(requests, response, () => judge(events))) return;
    const receipt = judge(events);
    const headers = { 'content-type': 'application/json', 'millrace-token': 'e.1' };
    response.writeHead(receipt.verdicts.length > 0 ? 207 : 201, headers);
    response.end(JSON.stringify(receipt));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    stored,
    duplicates: () => duplicates,
    intercept: () => false,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return endpoint;
}

/** All lines of a file. */
export async function linesOf(path: string): Promise<InvoiceLine[]> {
  const lines: InvoiceLine[] = [];
  for await (const chunk of readSource(await inspectFile(path))) lines.push(...chunk.lines);
  return lines;
}

/** Lines of a till in Online Retail II: ten to an invoice, one invoice a minute, two equal lines in each. */
export function csvOf(count: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const invoice = 489_434 + Math.floor(index / 10);
    const time = new Date(Date.UTC(2009, 11, 1, 8, Math.floor(index / 10))).toISOString();
    // The tenth line of an invoice repeats the ninth.
    const sku = 20_000 + (index % 10 === 9 ? index - 1 : index);
    const quantity = index % 50 === 7 ? -1 : 3;
    return `${invoice},${sku},CUP NO ${sku},${quantity},${time.slice(0, 19).replace('T', ' ')},1.25,13085,EIRE`;
  });
  return [HEADER_II, ...rows, ''].join('\n');
}

/** A cell of a test workbook: numbers become number cells, texts shared strings, `inline:…` and `raw:…` say otherwise. */
type CellValue = number | string | null;

/** A workbook as Excel lays it out: the sheets stand before the shared strings. */
export function xlsxOf(sheets: readonly (readonly (readonly CellValue[])[])[], workbookPr = ''): Uint8Array {
  const strings: string[] = [];
  const cell = (value: CellValue, column: number, row: number): string => {
    const reference = `${String.fromCharCode(65 + column)}${row + 1}`;
    if (value === null) return '';
    if (typeof value === 'number') return `<c r="${reference}" s="1"><v>${value}</v></c>`;
    if (value.startsWith('raw:')) return `<c r="${reference}"><v>${value.slice(4)}</v></c>`;
    if (value.startsWith('inline:')) {
      return `<c r="${reference}" t="inlineStr"><is><t>${escapeXml(value.slice(7))}</t></is></c>`;
    }
    strings.push(value);
    return `<c r="${reference}" t="s"><v>${strings.length - 1}</v></c>`;
  };
  const parts: Record<string, Uint8Array> = {
    'xl/workbook.xml': strToU8(
      `<?xml version="1.0"?><workbook xmlns="x"><workbookPr ${workbookPr}/></workbook>`,
    ),
  };
  sheets.forEach((rows, index) => {
    const xml = rows.map((row, y) => `<row r="${y + 1}">${row.map((v, x) => cell(v, x, y)).join('')}</row>`);
    parts[`xl/worksheets/sheet${index + 1}.xml`] = strToU8(
      `<?xml version="1.0"?><worksheet xmlns="x"><sheetData>${xml.join('')}</sheetData></worksheet>`,
    );
  });
  const items = strings.map((text, index) =>
    // Every other text comes in two runs with a phonetic hint, as Excel writes formatted text.
    index % 2 === 0
      ? `<si><t xml:space="preserve">${escapeXml(text)}</t></si>`
      : `<si><r><t>${escapeXml(text.slice(0, 1))}</t></r><r><t>${escapeXml(text.slice(1))}</t></r><rPh><t>hint</t></rPh></si>`,
  );
  parts['xl/sharedStrings.xml'] = strToU8(`<?xml version="1.0"?><sst xmlns="x">${items.join('')}</sst>`);
  return zipSync(parts);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
