/**
 * A mistake that a builder finds in its own declaration. `validateCatalog` reports it beside the mistakes that it finds
 * itself.
 */
export class DeclarationMistake extends Error {
  /** What is wrong, as a sentence. */
  readonly problem: string;
  /** What to do, as a sentence. */
  readonly remedy: string;

  constructor(problem: string, remedy: string) {
    super(`${problem} ${remedy}`);
    this.name = 'DeclarationMistake';
    this.problem = problem;
    this.remedy = remedy;
  }
}

/** A definition that cannot be used, and why. `isOwn` is false if it only uses another such definition. */
interface Unusable {
  readonly mistake: DeclarationMistake;
  readonly isOwn: boolean;
}

const unusable = new WeakMap<object, Unusable>();
const claimed = new WeakSet<DeclarationMistake>();

/**
 * Builds a definition. If its declaration has a mistake, the result has only the members in `known`, and every other
 * use of it throws the mistake. So a module that declares it still loads, and one report has the mistakes of all
 * declarations. A definition that uses an unusable one is unusable as well.
 *
 * @throws Error for any other error of `build`, a defect of the catalog's own code.
 */
export function defining<Definition extends object>(
  known: Partial<Definition>,
  build: () => Definition,
): Definition {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof DeclarationMistake)) throw error;
    const stub = new Proxy(known, {
      get: (target, property) => {
        if (typeof property === 'symbol' || property in target) return Reflect.get(target, property);
        throw error;
      },
    });
    unusable.set(stub, { mistake: error, isOwn: !claimed.has(error) });
    claimed.add(error);
    // Every use of a member that is missing throws.
    return stub as Definition;
  }
}

/** Why a definition cannot be used; undefined if it can be. */
export function mistakeIn(definition: unknown): Unusable | undefined {
  return typeof definition === 'object' && definition !== null ? unusable.get(definition) : undefined;
}
