/** Texts of many kinds, as paths and queries have them. A schema that refuses all of them by their type accepts no text. */
export const SAMPLE_TEXTS: readonly string[] = [
  '1',
  'a',
  'true',
  '0b1f7a52-6c6e-4a39-9a53-9a4f6c4d1c11',
  '2026-01-01',
  '2026-01-01T00:00:00Z',
];
