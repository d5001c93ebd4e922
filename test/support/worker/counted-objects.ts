/**
 * Objects whose work is counted: rows of their storage, calls of their bindings and statements of the database, by the class
 * whose call or alarm they belong to. `GET /test/counts` of `withCounts` answers them, and begins again.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ObjectCounts } from './object-counts.ts';

let counts: Record<string, ObjectCounts> = {};
/** The class whose call or alarm is under way. */
const working = new AsyncLocalStorage<string>();

function countsOf(name: string): ObjectCounts {
  counts[name] ??= { calls: {}, bindings: {}, rowsRead: 0, rowsWritten: 0 };
  return counts[name];
}

function add(to: Record<string, number>, name: string): void {
  to[name] = (to[name] ?? 0) + 1;
}

type Method = (this: unknown, ...sent: unknown[]) => unknown;
function methodOf(target: object, name: string): Method {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== 'function') throw new Error(`There is no method ${name}.`);
  return method as Method;
}

/** Replaces a method of an object of the platform. */
function replace(target: object, name: string, made: (method: Method) => Method): void {
  Object.defineProperty(target, name, { value: made(methodOf(target, name)) });
}

/** Statements whose rows are not yet added up: a cursor has counted them once it was read. */
let cursors: { readonly of: string; readonly cursor: { rowsRead: number; rowsWritten: number } }[] = [];

function countStorage(storage: DurableObjectStorage): void {
  replace(storage.sql, 'exec', (exec) => (...sent) => {
    const cursor = Reflect.apply(exec, storage.sql, sent) as { rowsRead: number; rowsWritten: number };
    const of = working.getStore();
    if (of !== undefined) cursors.push({ of, cursor });
    return cursor;
  });
  for (const name of ['setAlarm', 'deleteAlarm'])
    replace(storage, name, (method) => (...sent) => {
      const of = working.getStore();
      if (of !== undefined) countsOf(of).rowsWritten += 1;
      return Reflect.apply(method, storage, sent);
    });
}

/** A binding whose calls are counted. A namespace of objects makes stubs, which count under its name. */
function counted<Binding extends object>(name: string, binding: Binding): Binding {
  return new Proxy(binding, {
    get: (target, method) => {
      const member: unknown = Reflect.get(target, method, target);
      if (typeof member !== 'function' || typeof method === 'symbol') return member;
      return (...sent: unknown[]) => {
        const made: unknown = Reflect.apply(member, target, sent);
        if (method === 'getByName' && typeof made === 'object' && made !== null) return counted(name, made);
        const of = working.getStore();
        if (of !== undefined) add(countsOf(of).bindings, `${name}.${method}`);
        return made;
      };
    },
  });
}

function countedBindings<Env extends object>(env: Env): Env {
  const wrapped = Object.entries(env).map(([name, binding]: [string, unknown]) => [
    name,
    typeof binding === 'object' && binding !== null ? counted(name, binding) : binding,
  ]);
  return Object.assign({}, env, Object.fromEntries(wrapped));
}

/** The database is reached by `fetch`. */
const platformFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const of = working.getStore();
  if (of !== undefined) add(countsOf(of).bindings, 'sql');
  return await platformFetch(input, init);
};

/** Whatever bindings an object takes. */
type ObjectClass = new (ctx: DurableObjectState, env: never) => object;

/** The class, of which these methods are counted. What they call in other objects counts there. */
export function countedClass<Class extends ObjectClass>(
  name: string,
  base: Class,
  methods: readonly string[],
): Class {
  const Base: ObjectClass = base;
  const made = class extends Base {
    constructor(ctx: DurableObjectState, env: never) {
      countStorage(ctx.storage);
      super(ctx, countedBindings<object>(env) as never);
    }
  };
  for (const method of methods) {
    const own = methodOf(Base.prototype as object, method);
    Object.defineProperty(made.prototype, method, {
      value(...sent: unknown[]) {
        add(countsOf(name).calls, method);
        return working.run(name, () => Reflect.apply(own, this, sent));
      },
    });
  }
  return made as Class;
}

/** The worker, with the counts since they were last asked for. */
export function withCounts<Env>(worker: ExportedHandler<Env>): ExportedHandler<Env> {
  return {
    ...worker,
    async fetch(request, env, ctx): Promise<Response> {
      if (new URL(request.url).pathname !== '/test/counts')
        return (await worker.fetch?.(request, env, ctx)) ?? new Response(null, { status: 404 });
      for (const { of, cursor } of cursors) {
        countsOf(of).rowsRead += cursor.rowsRead;
        countsOf(of).rowsWritten += cursor.rowsWritten;
      }
      cursors = [];
      const taken = counts;
      counts = {};
      return Response.json(taken);
    },
  };
}
