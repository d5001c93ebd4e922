import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ANONYMOUS } from '../../define/principal.ts';
import { systemNow } from '../../platform/clock.ts';
import { Failure } from '../../platform/failure.ts';
import type { AppEnv, Gateway, PortsOf } from '../context.ts';
import { ruleOf } from '../route-rules.ts';
import type { Charge, Charging } from './charging.ts';
import { limitFields } from './fields.ts';
import { LimitFailure } from './limit-failure.ts';
import { BASE_UNITS, REFUSED_UNITS, unitsOf } from './weights.ts';

/** Charges a request to its sender, and remembers the budget for the headers of the answer. */
export function chargeTo(limitsOf: PortsOf<Charging>): Gateway['charge'] {
  return async (c, charge) => {
    const request = { http: c.req.raw, ctx: c.executionCtx };
    const standing = await limitsOf(c).charge(request, c.get('principal') ?? ANONYMOUS, charge);
    if (standing !== undefined) c.set('standing', standing);
  };
}

/**
 * Middleware that charges every request to an uncached route before it causes work, and shows on the answer what is left. A
 * route that learns from the body who asks and for how much charges the rest itself.
 */
export function chargeOnEntry({ charge }: Pick<Gateway, 'charge'>, limitsOf: PortsOf<Charging>) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const due = dueOnEntry(c);
    if (due !== undefined) await charge(c, due);
    await next();
    const standing = c.get('standing');
    if (standing === undefined || !limitsOf(c).isOn) return;
    // In place: hono's `c.header` would copy the whole answer for each of them.
    const { headers } = c.res;
    for (const [name, value] of Object.entries(limitFields(standing, systemNow()))) {
      if (!headers.has(name)) headers.set(name, value);
    }
  });
}

function dueOnEntry(c: Context<AppEnv>): Charge | undefined {
  const cost = ruleOf(c.req.method, c.req.path)?.cost ?? 'read';
  if (c.req.path === '/health/live' || c.req.path === '/health') return { cost, units: unitsOf('hit') };
  if (cost !== 'features' && cost !== 'prediction') return { cost, units: BASE_UNITS[cost] };
  // These routes admit their readers themselves. A reader who sends no key pays for reading the body.
  return c.req.header('authorization') === undefined ? { cost, units: REFUSED_UNITS } : undefined;
}

/** The error of a request whose credential was refused: that its address sends too many, if it does. */
export async function refusalOf(
  thrown: Error,
  c: Context<AppEnv>,
  limitsOf: PortsOf<Charging>,
): Promise<Error> {
  if (!(thrown instanceof Failure) || thrown.code !== 'unauthorized') return thrown;
  try {
    await limitsOf(c).credentialRefused({ http: c.req.raw, ctx: c.executionCtx });
    return thrown;
  } catch (error) {
    return error instanceof LimitFailure ? error : thrown;
  }
}

/** Adds the headers that say which budget is used up. */
export function withFields(response: Response, error: Error): Response {
  if (!(error instanceof LimitFailure)) return response;
  for (const [name, value] of Object.entries(error.fields)) response.headers.set(name, value);
  return response;
}
