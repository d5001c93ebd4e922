/** The bindings of a worker, with a count of each call by binding and method, for example `CACHE.get`. */
export class CountedEnv<Bindings extends object> {
  readonly env: Bindings;
  #calls: Record<string, number> = {};

  constructor(bindings: Bindings) {
    const wrapped = Object.entries(bindings).map(([name, binding]: [string, unknown]) => [
      name,
      typeof binding === 'object' && binding !== null ? this.#counted(name, binding) : binding,
    ]);
    this.env = Object.assign({}, bindings, Object.fromEntries(wrapped));
  }

  /** The calls since the last call of this function. */
  take(): Record<string, number> {
    const calls = this.#calls;
    this.#calls = {};
    return calls;
  }

  /** A namespace of objects makes stubs: these count under its name, and making one is not a call. */
  #counted(name: string, target: object): object {
    return new Proxy(target, {
      get: (of, method) => {
        const member: unknown = Reflect.get(of, method, of);
        if (typeof member !== 'function' || typeof method === 'symbol') return member;
        return (...sent: unknown[]) => {
          const made: unknown = Reflect.apply(member, of, sent);
          if (method === 'getByName' && typeof made === 'object' && made !== null)
            return this.#counted(name, made);
          const call = `${name}.${method}`;
          this.#calls[call] = (this.#calls[call] ?? 0) + 1;
          return made;
        };
      },
    });
  }
}
