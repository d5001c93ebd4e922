import { createHash } from 'node:crypto';
import { type Answer, MISSING } from './catalogue.ts';
import type { Reader } from './readers.ts';
import { type Ask, CANARY } from './steps.ts';

/** What a request is answered by: an answer, a 404 for a row that does not exist, or a refusal without any answer. */
export type Expected = Answer | 'missing' | 'refused';

/** Whether the credential reaches the gateway as one that it accepts. */
function isAccepted({ kind }: Reader, { authorization }: Ask): boolean {
  return kind !== 'refused' && authorization !== 'twice' && authorization !== 'no scheme';
}

/** The value of a claim that limits the reader; null for all rows, undefined for none. */
function ownerOf(reader: Reader, claim: string): string | null | undefined {
  if (reader.kind !== 'key' && reader.kind !== 'token') return undefined;
  if (reader.isBootstrap) return null;
  const value = reader.claims[claim];
  return value === '*' && reader.kind === 'key' ? null : value;
}

function isLimited({ kind, claims }: Reader): boolean {
  return Object.values(claims).some((value) => kind === 'token' || value !== '*');
}

/** The one right outcome, from the declarations and the request alone. */
export function expectedOf(reader: Reader, ask: Ask): Expected {
  const [deployment] = ask.isolate;
  const data = deployment === 'other' ? 'other' : 'one';
  const claim = deployment === 'next' ? 'team' : 'tenant';
  const { view, id, second } = ask;
  const isKnown = reader.credential !== undefined && isAccepted(reader, ask);
  const isStranger = reader.credential === undefined;
  const mayRead = isKnown && (reader.isBootstrap || reader.hasScope);
  const answer = (asked: string[], of: string | null, language: string | null = null): Expected =>
    asked.some((one) => one.startsWith(MISSING))
      ? 'missing'
      : { deployment: data, view, asked, of, language };
  switch (view) {
    case 'open':
      return answer([id, second ?? ''], null, ask.language);
    case 'me':
      if (!isStranger && !isKnown) return 'refused';
      return answer([], isStranger ? 'anonymous' : reader.principal);
    case 'closed':
      return mayRead && !isLimited(reader) ? answer([id, second ?? 'x'], null) : 'refused';
    case 'mine':
      return mayRead && !isLimited(reader) ? answer([id], reader.principal) : 'refused';
    case 'rows':
    case 'asked':
    case 'asked-v1': {
      const owner = mayRead ? ownerOf(reader, 'tenant') : undefined;
      const wanted = view === 'asked-v1' ? (second ?? 'x') : id;
      if (owner === undefined || (owner !== null && owner !== wanted)) return 'refused';
      return answer(view === 'rows' ? [id, second ?? ''] : [wanted], wanted);
    }
    case 'own':
    case 'own-by-hour': {
      const owner = mayRead ? ownerOf(reader, claim) : undefined;
      if (owner === undefined) return 'refused';
      return view === 'own'
        ? answer([second ?? ''], JSON.stringify([claim, owner]))
        : answer([], JSON.stringify([claim, owner]), ask.language);
    }
  }
}

function etagOf(body: string): string {
  return `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
}

export interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * What is wrong with an answer; undefined if nothing is. A request may fail instead, for its form or for a peer that is
 * away, but whatever carries an answer has to carry the right one.
 */
export function mistakeIn(
  reader: Reader,
  ask: Ask,
  sentEtag: string | undefined,
  got: Got,
): string | undefined {
  const expected = expectedOf(reader, ask);
  const { status, headers, text } = got;
  const shown = `${text}${JSON.stringify([...headers])}`;
  if (shown.includes(CANARY)) return 'It shows a text of a crafted header.';
  if (status >= 400) {
    if (status === 500) return 'It failed.';
    // An address with the segment `..`, encoded or not, is another address.
    const isOtherPath = ask.id === '..' || ask.second === '..';
    if (status === 404 && expected !== 'missing' && !isOtherPath) return 'It says that a row is missing.';
    if (status === 403 && expected !== 'refused') return 'It is refused.';
    return undefined;
  }
  if (expected === 'refused') return `A reader who may not read it got ${status}.`;
  if (expected === 'missing') return `There is no such row, and the reader got ${status}.`;
  const body = JSON.stringify(expected);
  const etag = headers.get('etag');
  if (etag !== etagOf(body)) return 'Its entity tag is that of another answer.';
  if (status === 304) {
    const asked = sentEtag ?? ask.headers['if-none-match'];
    return asked === '*' || asked === etag
      ? undefined
      : 'It is said not to have changed since another answer.';
  }
  if (ask.method === 'GET' && text !== body) return 'It is the answer of another.';
  if (ask.view !== 'open' && !(headers.get('vary') ?? '').includes('Authorization'))
    return 'A browser may give it to another reader: Vary does not name Authorization.';
  if (!(headers.get('cache-control') ?? '').startsWith('private')) return 'A shared cache may keep it.';
  return undefined;
}
