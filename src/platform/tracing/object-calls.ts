import { parseTraceparent, type TraceContext } from './context.ts';
import type { Span } from './span.ts';
import { carried, type Tracing } from './tracing.ts';

/**
 * How a call of an object carries its trace: one method of every object takes the context, the name of the method that is
 * called, and its arguments. The methods themselves have no argument for it, and a call without a recorded trace stays as
 * it is.
 */
const CARRIER = 'callInTrace';

/** An object names what a call continues beside its caller by this method, which no call from outside reaches. */
export const CONTINUED = Symbol('continued');

/** Calls a method of a stub, with the context of a span if its trace is recorded. */
export async function callInSpan(
  stub: object,
  method: string,
  sent: readonly unknown[],
  span: Span,
): Promise<unknown> {
  const traceparent = carried(span);
  if (traceparent !== undefined) {
    try {
      return await Reflect.apply(Reflect.get(stub, CARRIER), stub, [traceparent, method, sent]);
    } catch (error) {
      if (!isWithoutCarrier(error)) throw error;
    }
  }
  return await Reflect.apply(Reflect.get(stub, method), stub, sent);
}

/** The object is of a release without the method: it did nothing. */
function isWithoutCarrier(error: unknown): boolean {
  return error instanceof Error && error.message.includes(`does not implement the method "${CARRIER}"`);
}

/**
 * Lets the objects of a class take calls with a context.
 *
 * @param tracingOf what traces in the isolate of an object, by its bindings; undefined if nothing does.
 */
export function takeCallsInTrace(
  { prototype }: { readonly prototype: object },
  peer: string,
  tracingOf: (env: object) => Tracing | undefined,
): void {
  const take = async function (
    this: object,
    traceparent: string,
    method: string,
    sent: readonly unknown[],
  ): Promise<unknown> {
    const called: unknown = isCallable(this, method) ? Reflect.get(this, method) : undefined;
    if (typeof called !== 'function') throw new TypeError(`The object has no method "${method}".`);
    const work = async (): Promise<unknown> => await Reflect.apply(called, this, sent);
    const caller = parseTraceparent(traceparent);
    const tracing = caller === undefined ? undefined : tracingOf(Reflect.get(this, 'env'));
    if (caller === undefined || tracing === undefined) return await work();
    const state: { waitUntil(work: Promise<unknown>): void } = Reflect.get(this, 'ctx');
    const name = `${peer}/${method}`;
    const attributes = { 'rpc.system.name': 'cloudflare_workers', 'rpc.method': name };
    return await tracing.serve(
      { name, attributes },
      caller,
      (kept) => state.waitUntil(kept),
      work,
      () => continuedBy(this, method, sent),
    );
  };
  Object.defineProperty(prototype, CARRIER, { value: take, writable: true, configurable: true });
}

/** Handlers of the platform, which calls do not reach. */
const HANDLERS: ReadonlySet<string> = new Set(['constructor', 'alarm', 'fetch', CARRIER]);

/** Whether a class of Millrace's own has the method: the last prototypes are those of the platform and of `Object`. */
function isCallable(object: object, method: string): boolean {
  if (HANDLERS.has(method)) return false;
  for (let at = Object.getPrototypeOf(object); at !== null; at = Object.getPrototypeOf(at)) {
    if (Object.getPrototypeOf(at) === null) return false;
    if (Object.hasOwn(at, method)) return true;
  }
  return false;
}

function continuedBy(object: object, method: string, sent: readonly unknown[]): readonly TraceContext[] {
  const continued: unknown = Reflect.get(object, CONTINUED);
  if (typeof continued !== 'function') return [];
  const texts: readonly string[] = Reflect.apply(continued, object, [method, sent]);
  return texts.flatMap((text) => parseTraceparent(text) ?? []);
}
