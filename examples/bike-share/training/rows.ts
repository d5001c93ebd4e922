/**
 * What a rider's features were before each of their rides: the rows that the model is trained from. Training and the
 * feature store must agree on them; `test/unit/training.test.ts` compares the two.
 */

const DAY_MS = 86_400_000;
/** Stands in for "never", as the catalog declares it. */
const NEVER_DAYS = 365;

/** The model's columns, in the order of its input. */
export const COLUMNS = ['rides_7d', 'rides_30d', 'minutes_7d', 'minutes_30d', 'days_since_ride'] as const;

export interface Ride {
  readonly rider: string;
  readonly minutes: number;
  /** When it ended, milliseconds since the Unix epoch. */
  readonly at: number;
}

/** A rider's features before a ride, and how long the ride was. */
export interface TrainingRow {
  readonly at: number;
  readonly features: readonly number[];
  readonly minutes: number;
}

/** A row for each ride but the first of its rider, in the order of time. */
export function trainingRows(rides: readonly Ride[]): TrainingRow[] {
  const byRider = Map.groupBy(rides, ({ rider }) => rider);
  const rows = [...byRider.values()].flatMap((own) => {
    const ordered = [...own].sort((a, b) => a.at - b.at);
    return ordered.slice(1).map(({ at, minutes }, index): TrainingRow => {
      return { at, features: featuresAt(ordered.slice(0, index + 1), at), minutes };
    });
  });
  return rows.sort((a, b) => a.at - b.at);
}

/** The features as of a moment, from all rides before it. Windows are whole UTC days: today and the days before. */
export function featuresAt(rides: readonly Pick<Ride, 'minutes' | 'at'>[], now: number): number[] {
  const today = Math.floor(now / DAY_MS);
  const within = (days: number) => rides.filter(({ at }) => Math.floor(at / DAY_MS) > today - days);
  const minutesOf = (some: readonly Pick<Ride, 'minutes'>[]) =>
    some.reduce((sum, { minutes }) => sum + minutes, 0);
  const [week, month] = [within(7), within(30)];
  const last = Math.max(...rides.map(({ at }) => at));
  const days = rides.length === 0 ? NEVER_DAYS : Math.max(0, now - last) / DAY_MS;
  return [week.length, month.length, minutesOf(week), minutesOf(month), days];
}
