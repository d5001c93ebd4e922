import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { type Holder, principalName } from '../../define/principal.ts';
import { sha256Hex } from '../../platform/digest.ts';
import { Failure } from '../../platform/failure.ts';
import { log } from '../../platform/logger.ts';
import type { AppEnv } from '../context.ts';
import type { Action, ActionPorts, Step, SteppedAction } from './ports.ts';

/** The most characters of what an entry says of a request or of a change; anything longer is stored as its digest. */
const DETAIL_CHARACTERS_MAX = 65_536;
const TARGET_CHARACTERS_MAX = 1_024;

/**
 * Records an action whose effect is not one transaction of the database. An entry is committed before the effect, so an
 * action that cannot be recorded does not happen; another entry has the outcome. An action that has only the first entry
 * has an unknown outcome: the worker or the database died in between.
 *
 * @param effect returns its result and what it changed.
 * @throws Failure `database_unavailable` before the effect; and everything that the effect throws.
 */
export async function audited<Result>(
  c: Context<AppEnv>,
  ports: ActionPorts,
  { action, target, detail = {}, before }: Action,
  effect: () => Promise<{ readonly result: Result; readonly after: unknown }>,
): Promise<Result> {
  const begun = await ports.begin({
    principal: principalOf(c),
    action,
    target: target.slice(0, TARGET_CHARACTERS_MAX),
    detail: await bounded(detail),
    before: await bounded(await before?.()),
  });
  c.set('isAudited', true);
  const end = async (outcome: 'done' | 'failed', after: unknown) => {
    try {
      await ports.end(begun, outcome, await bounded(after));
    } catch (error) {
      const fields = { 'event.action': action, 'millrace.audit.id': String(begun), 'event.outcome': outcome };
      log(
        'warn',
        'The outcome of an action could not be recorded. The audit log has its beginning.',
        fields,
        error,
      );
    }
  };
  try {
    const { result, after } = await effect();
    await end('done', after);
    return result;
  } catch (error) {
    await end('failed', { code: error instanceof Failure ? error.code : 'internal' });
    throw error;
  }
}

/**
 * Records an action that takes many requests by two entries: one before its first request, and one with what it changed
 * after its last. A request that fails and may be repeated ends nothing. A sender who continues the action of another
 * leaves an entry of its own before that. Two requests that end the action at the same moment may both record the end.
 *
 * @param isRestart whether this request starts the action again, so that the earlier one will not end.
 * @param isOver whether the action had ended before this request, which then changes nothing.
 * @throws Failure `database_unavailable` before the effect; and everything that the step throws.
 */
export async function auditedSteps<Result>(
  c: Context<AppEnv>,
  ports: ActionPorts,
  { action, target, detail = {}, before, isRestart, isOver }: SteppedAction,
  step: () => Promise<Step<Result>>,
): Promise<Result> {
  const name = target.slice(0, TARGET_CHARACTERS_MAX);
  const open = await ports.open(action, name);
  if (isRestart) for (const { id } of open) await ports.end(id, 'failed', { code: 'replay_superseded' });
  const principal = principalOf(c);
  const known = isRestart ? [] : open;
  const own = known.some((begun) => begun.principal === principal);
  const started =
    own || isOver
      ? []
      : [
          await ports.begin({
            ...{ principal, action, target: name, detail: await bounded(detail) },
            before: await bounded(await before?.()),
          }),
        ];
  c.set('isAudited', true);
  const end = async (outcome: 'done' | 'failed', after: unknown) => {
    const value = await bounded(after);
    for (const id of [...started, ...known.map((begun) => begun.id)]) await ports.end(id, outcome, value);
  };
  try {
    const { result, after, isEnd } = await step();
    // Without this entry the request fails, and its repetition finds the action ended and writes the entry.
    if (isEnd) await end('done', after);
    return result;
  } catch (error) {
    if (error instanceof Failure && !isRepeatable(error)) await end('failed', { code: error.code });
    throw error;
  }
}

/** A failure with a time to try again at says that the same request may succeed then. */
function isRepeatable({ retryAfterS }: Failure): boolean {
  return retryAfterS !== undefined;
}

/** The sender as an entry of the audit names it. For an action whose own transaction has the entry. */
export function auditingOwn(c: Context<AppEnv>): string {
  c.set('isAudited', true);
  return principalOf(c);
}

/** The middleware has set it: no route of `/v1/admin` decides itself whether it requires a key. */
export function holderOf(c: Context<AppEnv>): Holder {
  const principal = c.get('principal');
  if (principal === undefined || principal.kind === 'anonymous')
    throw new Error(`The route ${c.req.path} was reached without a key.`);
  return principal;
}

function principalOf(c: Context<AppEnv>): string {
  return principalName(holderOf(c));
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Middleware that fails a change without an entry in the audit log, so that no route can leave the entry out unseen. */
export const changesAreAudited = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  if (SAFE_METHODS.has(c.req.method) || c.res.status >= 400 || c.get('isAudited') === true) return;
  throw new Error(`${c.req.method} ${c.req.path} changed something without an entry in the audit log.`);
});

async function bounded(value: unknown): Promise<unknown> {
  const text = JSON.stringify(value ?? null);
  if (text.length <= DETAIL_CHARACTERS_MAX) return value ?? null;
  return { omitted: 'too long', characters: text.length, sha256: await sha256Hex(text) };
}
