/** JSON types by which an example is compared with an answer: values differ with each run, and the form does not. */

/**
 * Where an example does not have the form of an answer, as JSON pointers; empty if it has. `null`, and a list without
 * elements, agree with anything.
 */
export function differences(example: unknown, answer: unknown, at = ''): string[] {
  if (example === null || answer === null) return [];
  if (Array.isArray(example) && Array.isArray(answer)) {
    if (answer.length === 0) return [];
    // Elements of one list may have several forms. Each of the example has that of some element.
    return example.flatMap((element, index) => {
      const found = answer.map((other) => differences(element, other, `${at}/${index}`));
      return found.some((one) => one.length === 0) ? [] : (found[0] ?? []);
    });
  }
  if (isObject(example) && isObject(answer)) {
    const names = new Set([...Object.keys(example), ...Object.keys(answer)]);
    return [...names].flatMap((name) => {
      const here = `${at}/${name}`;
      if (!Object.hasOwn(answer, name)) return [`${here} is not in the answer`];
      if (!Object.hasOwn(example, name)) return [`${here} is not in the example`];
      return differences(example[name], answer[name], here);
    });
  }
  return kindOf(example) === kindOf(answer) ? [] : [`${at} is ${kindOf(answer)} in the answer`];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const KINDS: readonly (readonly [kind: string, form: RegExp])[] = [
  ['a time', /^\d{4}-\d\d-\d\dT/],
  ['a UUID', /^[0-9a-f]{8}-[0-9a-f]{4}-/],
  ['a token', /^[0-9a-f-]+\.\d+$/],
  ['hexadecimal digits', /^(?:sha256:)?[0-9a-f]{16,64}$/],
  ['an address', /^https?:\/\//],
];

/** Texts without a kind of their own are compared as they are: they are names, states and units. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value !== 'string') return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
  return KINDS.find(([, form]) => form.test(value))?.[0] ?? 'a text';
}
