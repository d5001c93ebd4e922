import { describe, expect, it } from 'vitest';
import { type KeyHolder, tokenHolder } from '../../../../src/define/principal.ts';
import { holderOfTicket, newTicket, TICKET_S, ticketKey } from '../../../../src/gateway/principals/ticket.ts';

const KEY = ticketKey({ databaseUrl: 'postgres://u:p@h/d', apiKeySha256: 'a'.repeat(64) });
const PATH = '/v1/changes';
const NOW = 1_800_000_000_000;
const HOLDER: KeyHolder = { kind: 'key', id: 'k', scopes: new Set(['data:read']), claims: { tenant: 'ä' } };

describe('a ticket', () => {
  const { text, expiresAtMs } = newTicket(KEY, PATH, HOLDER, NOW);

  it('admits the holder that it was made for, until it expires', () => {
    expect(expiresAtMs).toBe(NOW + TICKET_S * 1_000);
    expect(holderOfTicket(KEY, text, PATH, NOW)).toEqual(HOLDER);
    expect(holderOfTicket(KEY, text, PATH, expiresAtMs - 1)).toEqual(HOLDER);
    expect(holderOfTicket(KEY, text, PATH, expiresAtMs)).toBeUndefined();
    const token = tokenHolder('issuer#a', ['data:read'], { tenant: 'a' });
    expect(holderOfTicket(KEY, newTicket(KEY, PATH, token, NOW).text, PATH, NOW)).toEqual(token);
  });

  it('admits nobody elsewhere, changed, or signed with one of the secrets alone', () => {
    expect(holderOfTicket(KEY, text, '/v1/other', NOW)).toBeUndefined();
    for (let at = 0; at < text.length; at += 7) {
      const changed = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
      expect(holderOfTicket(KEY, changed, PATH, NOW)).toBeUndefined();
    }
    for (const secrets of [
      { databaseUrl: 'postgres://u:p@h/d', apiKeySha256: '' },
      { databaseUrl: '', apiKeySha256: 'a'.repeat(64) },
    ])
      expect(holderOfTicket(ticketKey(secrets), text, PATH, NOW)).toBeUndefined();
    for (const other of ['', '.', 'a.b', `${'a'.repeat(9_000)}.${'b'.repeat(43)}`])
      expect(holderOfTicket(KEY, other, PATH, NOW)).toBeUndefined();
  });
});
