import { vi } from 'vitest';

/** The methods of `Headers` that a worker may call. */
const METHODS = ['get', 'has', 'set', 'append', 'delete', 'entries', 'keys', 'values', 'forEach'] as const;

/**
 * Records what a worker asks of the runtime while it answers a request: properties of the request, calls of `Headers`,
 * and the objects that it makes. Each of these leaves JavaScript, which costs about as much as everything that a warm hit
 * does in between.
 */
export async function crossingsOf(
  request: Request,
  answer: (recorded: Request) => Response | Promise<Response>,
): Promise<{ readonly crossings: readonly string[]; readonly response: Response }> {
  const crossings: string[] = [];
  const recorded = new Proxy(request, {
    get: (target, property) => {
      if (typeof property === 'string') crossings.push(`request.${property}`);
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  for (const method of METHODS) {
    const { [method]: original } = Headers.prototype;
    vi.spyOn(Headers.prototype, method).mockImplementation(function (this: Headers, ...sent: unknown[]) {
      crossings.push(`headers.${method}(${sent.slice(0, 1).join()})`);
      return Reflect.apply(original, this, sent);
    });
  }
  for (const [name, made] of Object.entries({ Request, Response, Headers, URL, TextEncoder })) {
    const counting = new Proxy<new (...sent: never[]) => object>(made, {
      construct: (target, sent) => {
        crossings.push(`new ${name}`);
        return Reflect.construct(target, sent);
      },
    });
    vi.stubGlobal(name, counting);
  }
  const newId = crypto.randomUUID.bind(crypto);
  vi.spyOn(crypto, 'randomUUID').mockImplementation(() => {
    crossings.push('crypto.randomUUID');
    return newId();
  });
  try {
    return { crossings, response: await answer(recorded) };
  } finally {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }
}
