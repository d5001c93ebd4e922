import type { Fault } from '../../simulation/faults.ts';

/** Faults by which a reader gets the answer of another, or changes it. The suite finds each with the seed of its test. */
const VIEWS = 'src/gateway/routes/views.ts';
const PARTITION = 'src/gateway/partition.ts';
const CACHE_KEY = 'src/cache/cache-key.ts';

function fault(name: string, file: string, from: string, to: string): Omit<Fault, 'seedsMax'> {
  return { name, edits: [{ file, from, to }] };
}

const OWNER = 'JSON.stringify([rows?.claim, owner])';
const OWNER_IN_KEY = `...(owner === undefined ? {} : { '@owner': ${OWNER} }),`;
const PRINCIPAL_IN_KEY = "...(principal === undefined ? {} : { '@principal': principal }),";

export const FAULTS: readonly Omit<Fault, 'seedsMax'>[] = [
  fault('the owner of the rows is not a part of the key', PARTITION, OWNER_IN_KEY, ''),
  fault('the claim that names the owner is not a part of the key', PARTITION, OWNER, 'JSON.stringify(owner)'),
  fault(
    'the owner "null" and all owners have one key',
    PARTITION,
    OWNER,
    'String([rows?.claim, String(owner)])',
  ),
  fault('the principal is not a part of the key', PARTITION, PRINCIPAL_IN_KEY, ''),
  fault(
    'a conditional request is compared before its rows are checked',
    VIEWS,
    'rows === undefined ? undefined : ownerIn(rows, reader, input);',
    "rows === undefined || request.headers.has('if-none-match') ? undefined : ownerIn(rows, reader, input);",
  ),
  fault(
    'fills are coalesced by the address alone',
    'src/cache/read-through.ts',
    'ports.gateOf(key) : undefined;',
    'ports.gateOf(request.purgeKey ?? key) : undefined;',
  ),
  fault(
    'a fill ahead reads all rows',
    'src/cache/warming/refill.ts',
    'load: (now) => load(view, { input, variant, principal, owner }, now),',
    'load: (now) => load(view, { input, variant, principal, owner: owner === undefined ? owner : null }, now),',
  ),
  {
    name: 'a known address is found without its query',
    edits: [
      {
        file: 'src/gateway/known-reads.ts',
        from: 'return this.#reads.get(url);',
        to: "return this.#reads.get(url.split('?')[0] ?? '');",
      },
      {
        file: 'src/gateway/known-reads.ts',
        from: 'this.#reads.set(url, {',
        to: "this.#reads.set(url.split('?')[0] ?? '', {",
      },
    ],
  },
  fault(
    'texts stand in the key without escapes',
    CACHE_KEY,
    "    case 'string':\n",
    "    case 'string':\n      return ['\"', value, '\"'].join('');\n",
  ),
  fault(
    'ids are compared in lower case',
    'src/gateway/principals/row-access.ts',
    'of(asked) === owner',
    'of(asked).toLowerCase() === owner.toLowerCase()',
  ),
  fault(
    'ids are compared in a compatible form of Unicode',
    'src/gateway/principals/row-access.ts',
    'of(asked) === owner',
    "of(asked).normalize('NFKC') === owner.normalize('NFKC')",
  ),
  fault(
    'the rows of an earlier version are those that its own query names',
    'src/define/earlier-view.ts',
    '      rows: rowsOf(current.rows, upcast),\n',
    '',
  ),
  fault(
    'deployments of a zone share entries',
    'src/cache/tiers/colo.ts',
    'return COLO_ORIGIN.replace(',
    'return COLO_ORIGIN ?? COLO_ORIGIN.replace(',
  ),
  fault(
    "a token's claim * admits to all rows",
    'src/define/rows.ts',
    "return principal.kind === 'key' && value === ALL_ROWS ? null : value;",
    'return value === ALL_ROWS ? null : value;',
  ),
  fault(
    'the claims of a token are not a part of its principal',
    'src/define/principal.ts',
    'const text = JSON.stringify([id, ordered, entries]);',
    'const text = JSON.stringify([id, ordered, entries.length < 0]);',
  ),
];
