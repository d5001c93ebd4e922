/** An answer's value as it is stored and sent, with the strong entity tag of that text (RFC 9110 §8.8.3). */
export async function bodyAndEtag(
  value: unknown,
  digest: (text: string) => Promise<string>,
): Promise<{ body: string; etag: string }> {
  const body = JSON.stringify(value);
  return { body, etag: `"${(await digest(body)).slice(0, ETAG_CHARACTERS)}"` };
}

/** Half of a SHA-256 in hexadecimal: 128 bits tell answers apart. */
const ETAG_CHARACTERS = 32;
