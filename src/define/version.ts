import * as z from 'zod';

/** The announced end of a version. Days in UTC, `2027-06-30`; each begins at midnight. */
export interface Deprecation {
  /** From when on producers should send the current version (RFC 9745). */
  readonly since: string;
  /** From when on the version may be gone (RFC 8594); until it is taken out of the catalog it is still taken. */
  readonly sunset?: string;
}

/** Why data of an earlier version could not be made data of the current one. */
export interface UpcastFailure {
  readonly ok: false;
  readonly code: 'contract_violation';
  /** `contract_violation` where the data breaks its own version, `upcast_failed` where a later one refuses it. */
  readonly reason: 'contract_violation' | 'upcast_failed';
  readonly pointer: string;
  readonly detail: string;
}

/** Data in the form of another version, not yet checked by that version's contract. */
export type Upcast<Data = unknown> = { readonly ok: true; readonly data: Data } | UpcastFailure;

/** What the current and the earlier versions of a type declare alike. */
interface VersionDeclaration<Schema extends z.ZodType> {
  version: number;
  /** The contract. */
  data: Schema;
  deprecated?: Deprecation;
  /** Data that keeps the contract and breaks no rule: `/v1/events/types` shows it in an event that can be sent. */
  example?: z.input<Schema>;
}

/** A version before the current one, and how its data becomes that of the next: `Next` is what that takes in. */
export interface EarlierVersion<Next> {
  readonly version: number;
  readonly deprecated: Deprecation | undefined;
  readonly example: unknown;
  readonly jsonSchema: () => unknown;
  readonly toNext: (data: unknown) => Upcast<Next>;
  readonly earlier: EarlierVersion<unknown> | undefined;
}

/**
 * Declares a version that producers may still send. `upcast` makes its data that of the next version; it is pure,
 * so that an event sent twice is the same twice.
 */
export function earlierVersion<Schema extends z.ZodType, Next>(
  declaration: VersionDeclaration<Schema> & {
    upcast: (data: z.output<Schema>) => Next;
    /** The version before this one. */
    earlier?: EarlierVersion<z.input<Schema>>;
  },
): EarlierVersion<Next> {
  const { version, data: schema, deprecated, example, earlier, upcast } = declaration;
  return {
    version: versionNumber(version, earlier),
    deprecated: checkedDeprecation(deprecated),
    example,
    jsonSchema: () => z.toJSONSchema(schema, { io: 'input' }),
    toNext: (data) => {
      const parsed = schema.safeParse(data);
      if (!parsed.success) return { ...violationOf(parsed.error), reason: 'contract_violation' };
      try {
        return { ok: true, data: upcast(parsed.data) };
      } catch {
        return upcastFailed('/data', `Version ${version} of this data could not be made the next one.`);
      }
    },
    earlier,
  };
}

/** The versions before the current one, newest first, each with its whole way to the current one. */
export function upcastsOf(
  earliest: EarlierVersion<unknown> | undefined,
): readonly { readonly version: EarlierVersion<unknown>; readonly toCurrent: (data: unknown) => Upcast }[] {
  const chain: { version: EarlierVersion<unknown>; toCurrent: (data: unknown) => Upcast }[] = [];
  let later: (data: unknown) => Upcast = (data) => ({ ok: true, data });
  for (let version = earliest; version !== undefined; version = version.earlier) {
    const { toNext } = version;
    const fromNext = later;
    const toCurrent = (data: unknown): Upcast => {
      const next = toNext(data);
      return next.ok ? asUpcastFailure(fromNext(next.data)) : next;
    };
    chain.push({ version, toCurrent });
    later = toCurrent;
  }
  return chain;
}

/** What a later version says of data that was made for it is a fault of the upcast, and not of the producer. */
export function asUpcastFailure(upcast: Upcast): Upcast {
  if (upcast.ok || upcast.reason === 'upcast_failed') return upcast;
  return upcastFailed(upcast.pointer, `A later version of this data refuses it: ${upcast.detail}`);
}

/** A contract that is not kept: the first thing that is wrong. */
export function violationOf(error: z.ZodError): Omit<UpcastFailure, 'reason'> {
  const issue = error.issues[0];
  return {
    ok: false,
    code: 'contract_violation',
    pointer: ['data', ...(issue?.path ?? [])].map((step) => `/${String(step)}`).join(''),
    detail: issue?.message ?? 'The data does not keep the contract of its type.',
  };
}

/** @throws Error where a version follows none of a lower number. */
export function versionNumber(version: number, earlier: { readonly version: number } | undefined): number {
  if (!Number.isSafeInteger(version) || version < 1)
    throw new Error(`A version is 1 or more, not ${version}.`);
  if (earlier !== undefined && earlier.version >= version)
    throw new Error(`Version ${earlier.version} is declared as earlier than version ${version}.`);
  return version;
}

/** @throws Error where a date is none, or the sunset lies before the deprecation (RFC 9745 §4). */
export function checkedDeprecation(deprecated: Deprecation | undefined): Deprecation | undefined {
  if (deprecated === undefined) return undefined;
  const { since, sunset = since } = deprecated;
  for (const day of [since, sunset])
    if (!z.iso.date().safeParse(day).success) throw new Error(`"${day}" is no day such as 2027-06-30.`);
  if (sunset < since) throw new Error(`The sunset ${sunset} lies before the deprecation ${since}.`);
  return deprecated;
}

function upcastFailed(pointer: string, detail: string): UpcastFailure {
  return { ok: false, code: 'contract_violation', reason: 'upcast_failed', pointer, detail };
}
