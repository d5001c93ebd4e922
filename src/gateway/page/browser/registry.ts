/** Reads the answers of the registry's routes, which are not trusted to have each field, and says what may be done. */
import { memberOf } from './answers.ts';

export interface NamedAlias {
  readonly alias: string;
  readonly version: string;
  readonly since: string;
  readonly by: string;
}

export interface ShownVersion {
  readonly version: string;
  readonly registered: string;
  readonly by: string;
  /** When it was withdrawn; undefined for one that may answer. */
  readonly retiredAt: string | undefined;
  /** The aliases that name it. */
  readonly aliases: readonly string[];
  /** What is known of its size, speed and quality: names with texts. */
  readonly facts: readonly (readonly [name: string, text: string])[];
  /** Commands that change it, each with what it does. */
  readonly commands: readonly (readonly [what: string, command: string])[];
}

export interface ShownChange {
  readonly at: string;
  readonly text: string;
}

export interface ShownModel {
  readonly name: string;
  readonly facts: string;
  readonly description: string;
  readonly aliases: readonly NamedAlias[];
  readonly versions: readonly ShownVersion[];
  readonly history: readonly ShownChange[];
}

const CLI = 'npm run cli -- models';

/** The names of the models in the answer of `GET /v1/models`. */
export function modelNames(json: unknown): string[] {
  return listOf(json, 'models').map((model) => textOf(model, 'name'));
}

/** @param json the answer of `GET /v1/models/{model}`. */
export function shownModel(json: unknown): ShownModel {
  const name = textOf(json, 'name');
  const named = memberOf(json, 'aliases');
  const aliases = Object.entries(typeof named === 'object' && named !== null ? named : {}).map(
    ([alias, target]: [string, unknown]): NamedAlias => ({
      alias,
      version: textOf(target, 'version'),
      since: textOf(target, 'since'),
      by: textOf(target, 'by'),
    }),
  );
  const champion = aliases.find(({ alias }) => alias === 'champion')?.version;
  const history = listOf(json, 'history');
  const path = memberOf(json, 'path');
  const facts = [
    textOf(json, 'task'),
    `of ${textOf(json, 'entity')}`,
    ...(typeof path === 'string' ? [`GET ${path}`] : []),
  ];
  return {
    name,
    facts: facts.join(', '),
    description: textOf(json, 'description'),
    aliases,
    versions: listOf(json, 'versions').map((version) => versionOf(name, version, { aliases, champion })),
    history: changesOf(history),
  };
}

/** The command that lets the version before answer again; undefined if the history names no other version. */
export function rollbackOf({ name, aliases, history }: ShownModel): string | undefined {
  const champion = aliases.find(({ alias }) => alias === 'champion');
  const isFirst = history.filter(({ text }) => text.startsWith('champion')).length < 2;
  return champion === undefined || isFirst ? undefined : `${CLI} rollback ${name}`;
}

/** The command that registers a first version. */
export function pushOf(name: string): string {
  return `${CLI} push ${name} .millrace/models/${name}`;
}

function versionOf(
  model: string,
  json: unknown,
  { aliases, champion }: { readonly aliases: readonly NamedAlias[]; readonly champion: string | undefined },
): ShownVersion {
  const version = textOf(json, 'version');
  const retired = memberOf(json, 'retiredAt');
  const retiredAt = typeof retired === 'string' ? retired : undefined;
  const named = aliases.filter((alias) => alias.version === version).map(({ alias }) => alias);
  const expected = champion === undefined ? '' : ` --expected ${champion}`;
  const promote = ['Let it answer', `${CLI} promote ${model} ${version}${expected}`] as const;
  const retire = ['Withdraw it for good', `${CLI} retire ${model} ${version}`] as const;
  return {
    version,
    registered: textOf(json, 'registeredAt'),
    by: textOf(json, 'registeredBy'),
    retiredAt,
    aliases: named,
    facts: factsOf(json),
    commands:
      retiredAt !== undefined
        ? []
        : [...(version === champion ? [] : [promote]), ...(named.length > 0 ? [] : [retire])],
  };
}

function factsOf(json: unknown): [string, string][] {
  const measured = memberOf(json, 'measured');
  const ms = (name: string): string => `${numberOf(memberOf(measured, name))} ms`;
  const kilobytes = (value: unknown): string => `${numberOf(Number(value) / 1_024)} KB`;
  const rows = memberOf(measured, 'rows');
  const metrics = memberOf(json, 'metrics');
  const trained = memberOf(json, 'trainedFrom');
  return [
    ['First answer', ms('firstHitMs')],
    ['First ten', ms('firstTenMs')],
    ['Warm p50, p99', `${ms('warmP50Ms')}, ${ms('warmP99Ms')}`],
    ['Measured with', `${String(rows)} rows, ${String(memberOf(measured, 'warmRuns'))} runs`],
    ['Memory', kilobytes(memberOf(measured, 'memoryBytes'))],
    ['Graph', `${kilobytes(memberOf(json, 'bytes'))}, SHA-256 ${textOf(json, 'sha256')}`],
    ...(isEmpty(metrics) ? [] : [['Metrics', JSON.stringify(metrics)] satisfies [string, string]]),
    ...(isEmpty(trained) ? [] : [['Trained from', JSON.stringify(trained)] satisfies [string, string]]),
  ];
}

/** The newest first, each with the version that the alias named before. */
function changesOf(history: readonly unknown[]): ShownChange[] {
  return history.map((change, index) => {
    const alias = textOf(change, 'alias');
    const earlier = history.slice(index + 1).find((one) => textOf(one, 'alias') === alias);
    const [from, to] = [earlier, change].map((one) => {
      const version = memberOf(one, 'version');
      return typeof version === 'string' ? version : 'none';
    });
    const text = `${alias}: ${from} → ${to} (${textOf(change, 'reason')} by ${textOf(change, 'by')})`;
    return { at: textOf(change, 'at'), text };
  });
}

function isEmpty(value: unknown): boolean {
  return typeof value !== 'object' || value === null || Object.keys(value).length === 0;
}

/** Three digits that count, without an exponent. */
export function numberOf(value: unknown): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '?';
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

export function textOf(json: unknown, name: string): string {
  const value = memberOf(json, name);
  return typeof value === 'string' ? value : '';
}

export function listOf(json: unknown, name: string): readonly unknown[] {
  const value = memberOf(json, name);
  return Array.isArray(value) ? value : [];
}
