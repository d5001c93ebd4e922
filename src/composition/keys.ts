import { keyTag } from '../gateway/principals/api-key.ts';
import { newKey } from '../gateway/principals/key-format.ts';
import type { IssuedKey, KeyPorts } from '../gateway/routes/admin-keys.ts';
import { sha256HexNow } from '../platform/digest.ts';
import { Failure } from '../platform/failure.ts';
import { secureBytes } from '../platform/random-bytes.ts';
import { createKey, listKeys, readKey, revokeKey, rotateKey } from '../storage/postgres/api-keys.ts';
import { guarded } from '../storage/postgres/connect.ts';
import type { BoundIsolate } from './isolate.ts';
import { announce } from './writing.ts';

/** The ports of the routes that change keys. A change is committed, then invalidated, then answered. */
export function keyPorts(bound: BoundIsolate, keepAlive: (work: Promise<unknown>) => void): KeyPorts {
  const { db } = bound;
  const find = (id: string) => guarded(() => readKey(db, id));
  const issued = async (id: string, text: string, token: IssuedKey['token']): Promise<IssuedKey> => {
    const stored = await find(id);
    if (stored === null) throw new Error(`The key ${id} was stored, but the database does not have it.`);
    return { stored, text, token };
  };
  return {
    list: (page) => guarded(() => listKeys(db, page)),
    find,
    create: async (wanted) => {
      const { id, text } = newKey(secureBytes);
      const hash = sha256HexNow(text);
      const { token } = await announce(bound, keepAlive, () =>
        createKey(db, keyTag(id), { ...wanted, id, hash }),
      );
      return await issued(id, text, token);
    },
    rotate: async (id, previousUntilMs, principal) => {
      const { text } = newKey(secureBytes, id);
      const { token } = await announce(bound, keepAlive, async () => {
        const changed = await rotateKey(db, keyTag(id), {
          id,
          hash: sha256HexNow(text),
          previousUntilMs,
          principal,
        });
        if (changed !== null) return changed;
        throw new Failure('key_ended', 'The key was revoked or has expired. Create a new one.');
      });
      return await issued(id, text, token);
    },
    revoke: async (id, principal) => {
      const { token } = await announce(bound, keepAlive, async () => {
        const changed = await revokeKey(db, keyTag(id), { id, principal });
        if (changed !== null) return changed;
        throw new Failure('not_found', 'There is no key with this id. GET /v1/admin/keys lists them.', {
          pointer: 'id',
        });
      });
      return token;
    },
  };
}
