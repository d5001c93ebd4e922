/** A value of a parameter. An array repeats the parameter. */
type Value = string | number | boolean | null | undefined;

/** What a call passes for its address. */
export interface AddressInput {
  readonly path?: Readonly<Record<string, Value>> | undefined;
  readonly query?: Readonly<Record<string, Value | readonly Value[]>> | undefined;
}

/** A parameter that no address can hold, so no request was made. */
export class AddressError extends TypeError {
  override readonly name = 'AddressError';
}

/**
 * The address of a route: its path with the parameters percent-encoded, and the query. Absent values are left out.
 *
 * @param base the address of the worker, without a slash at its end.
 * @throws AddressError if a parameter of the path is missing, or is a segment that URL parsers remove.
 */
export function addressOf(base: string, route: string, { path = {}, query = {} }: AddressInput): string {
  if (!route.startsWith('/')) throw new TypeError(`A path begins with a slash, not as "${route}".`);
  const filled = route.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const text = String(path[name] ?? '');
    if (text === '' || text === '.' || text === '..')
      throw new AddressError(`The parameter "${name}" of ${route} is missing, or is "." or "..".`);
    return encodeURIComponent(text);
  });
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of typeof value === 'object' && value !== null ? value : [value])
      if (one !== undefined && one !== null) parameters.append(name, String(one));
  const search = parameters.toString();
  return `${base}${filled}${search === '' ? '' : `?${search}`}`;
}
