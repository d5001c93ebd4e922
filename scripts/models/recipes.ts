/**
 * The script of each model that trains it, from the repository's root. It is called with `--out DIR`, and writes a
 * bundle's folder there.
 */
export async function recipes(): Promise<Readonly<Record<string, string>>> {
  return { ranker: 'examples/shop/train.ts' };
}
