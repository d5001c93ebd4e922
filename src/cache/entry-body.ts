/** An answer's value as the JSON text that is stored and sent, with the strong entity tag of that text (RFC 9110 §8.8.3). */
export async function bodyAndEtag(
  value: unknown,
  digest: (text: string) => Promise<string>,
): Promise<{ body: string; etag: string }> {
  const body = JSON.stringify(value);
  return { body, etag: `"${(await digest(body)).slice(0, ETAG_CHARACTERS)}"` };
}

/** Half of a SHA-256 digest in hexadecimal: 128 bits are enough to distinguish answers. */
const ETAG_CHARACTERS = 32;
