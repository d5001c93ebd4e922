/** The platform's location hints: where an object is placed on its first use (`src/composition/placement.ts`). */
export const REGIONS = ['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'] as const;
export type Region = (typeof REGIONS)[number];

/** The platform's data on where a request entered the network. */
export interface RequestPlace {
  /** Two letters: AF, AN, AS, EU, NA, OC, SA; T1 for Tor. */
  readonly continent?: string | undefined;
  /** ISO 3166-1 alpha-2. */
  readonly country?: string | undefined;
  /** Degrees, in decimals. */
  readonly longitude?: string | undefined;
}

/** The region of a request without a known place, if that of the database is not known either. */
const DEFAULT_REGION: Region = 'enam';

/** Of the countries of Asia, those that are nearer to the Gulf than to Singapore or Tokyo. */
const MIDDLE_EAST = new Set([
  'AE',
  'BH',
  'CY',
  'IL',
  'IQ',
  'IR',
  'JO',
  'KW',
  'LB',
  'OM',
  'PS',
  'QA',
  'SA',
  'SY',
  'TR',
  'YE',
]);

/** Degrees: about the line from Winnipeg to Dallas, and the one from Berlin to Rome. */
const NORTH_AMERICA_DIVIDE = -97;
const EUROPE_DIVIDE = 15;

/** The region whose clock serves a request. A wrong guess costs time, never correctness. */
export function regionOf({ continent, country, longitude }: RequestPlace): Region {
  const degrees = longitude === undefined ? Number.NaN : Number(longitude);
  switch (continent) {
    case 'NA':
      return degrees < NORTH_AMERICA_DIVIDE ? 'wnam' : 'enam';
    case 'SA':
      return 'sam';
    case 'EU':
      return degrees > EUROPE_DIVIDE ? 'eeur' : 'weur';
    case 'AS':
      return MIDDLE_EAST.has(country ?? '') ? 'me' : 'apac';
    case 'OC':
    case 'AN':
      return 'oc';
    case 'AF':
      return 'afr';
    default:
      return DEFAULT_REGION;
  }
}
