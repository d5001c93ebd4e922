import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectRefusal } from '../../support/node/command-usage.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Some of the scripts load the whole local platform before they look at their options; several run at once. */
const TIMEOUT_MS = 240_000;
const [example = ''] = readdirSync(join(ROOT, 'examples'));

describe.concurrent('a wrong call is one line and the exit code 2', { timeout: TIMEOUT_MS }, () => {
  it.each([
    ['scripts/scaffold.ts', ['--exampel', 'x'], 'Did you mean --example?'],
    ['scripts/scaffold.ts', ['--example', 'none'], 'There is no example "none". examples/ has '],
    ['scripts/contracts.ts', ['--realease'], 'Did you mean --release?'],
    ['scripts/contracts.ts', ['strict'], '"strict" is one too many'],
    ['scripts/lockfile.ts', ['--chekc'], 'Did you mean --check?'],
    ['scripts/prove-replaceable.ts', ['--instead', example], 'Give --remove, with one of '],
    ['scripts/prove-replaceable.ts', ['--remove', 'none'], '--remove: there is no example "none".'],
    ['scripts/prove-replaceable.ts', ['--remove', example, '--instead', example], 'both name'],
    [
      'scripts/verify-coherence.ts',
      ['--broken', 'none'],
      /^--broken takes one of validity, .*not "none"\.$/m,
    ],
    [
      'scripts/verify-coherence.ts',
      ['--source-bound', '5'],
      '--source-bound takes a whole number of at least 10',
    ],
    [
      'scripts/verify-coherence.ts',
      ['--seconds', '1m'],
      '--seconds takes a whole number of at least 1, not "1m".',
    ],
    ['scripts/chaos.ts', ['--only', 'database-gon'], 'Did you mean database-gone?'],
    ['scripts/chaos.ts', ['--seconds', '60'], '--seconds takes a whole number from 2 to 25, not "60".'],
    ['test/simulation/sim.ts', ['--jobs', '0'], '--jobs takes a whole number of at least 1, not "0".'],
    ['test/simulation/sim.ts', ['--seeds'], '--seeds needs a value.'],
    [
      'test/simulation/pipeline/sim.ts',
      ['--seed', 'x'],
      '--seed takes a whole number of at least 1, not "x".',
    ],
    [
      'test/simulation/pipeline/sim.ts',
      ['--database', 'mysql://u:p@h/d'],
      '--database begins with "mysql://"',
    ],
    ['test/model/model.ts', ['--only', 'none'], '--only names nothing'],
    ['test/model/model.ts', ['--workers', '2.5'], '--workers takes a whole number of at least 1, not "2.5".'],
    ['bench/invalidation-lag.ts', ['many'], 'takes a whole number of at least 1, not "many".'],
    ['scripts/command.ts', ['none'], 'This deployment has no command "none".'],
    ['scripts/cli.ts', ['--rebuild'], "unknown option '--rebuild'"],
    ['scripts/cli.ts', ['kafka-sek'], '(Did you mean kafka-seek?)'],
    ['scripts/cli.ts', ['digest', '--rebuild'], "unknown option '--rebuild'"],
    ['scripts/cli.ts', ['events', 'status', '/s'], "missing required argument 'id'"],
    [
      'scripts/cli.ts',
      ['cache', 'invalidate'],
      'Give one of --tag, --path, --view, --everything and --new-epoch.',
    ],
    ['scripts/cli.ts', ['digest', '--key-file', '/none'], '--key-file names /none, which cannot be read'],
    ['scripts/cli.ts', ['completion', 'tcsh'], 'The shells are bash, zsh and fish, not "tcsh".'],
    [
      'scripts/cli.ts',
      ['kafka-seek', '--topic', 't', '--to', 'latest'],
      'Give --topic, --partition and --to, as in `',
    ],
    [
      'scripts/cli.ts',
      [...'kafka-seek --topic t --partition x --to 1'.split(' ')],
      '--partition takes a whole number of at least 0',
    ],
    [
      'scripts/cli.ts',
      [...'kafka-seek --topic t --partition 0 --to end'.split(' ')],
      '--to takes earliest, latest or the offset of a record, not "end".',
    ],
  ] as const)('%s %j', async (script, args, message) => {
    await expectRefusal(script, args, message);
  });
});

it('no command reads its arguments past readOptions', () => {
  const own = ['scripts/command-line/options.ts', 'test/unit/scripts/usage.long.test.ts'];
  const files = ['scripts', 'bench', 'test', 'examples', 'deploy'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const sources = files.filter((file) => file.endsWith('.ts') && !own.includes(file));
  expect(sources.length).toBeGreaterThan(300);
  expect(sources.filter((file) => readFileSync(join(ROOT, file), 'utf8').includes('parseArgs'))).toEqual([]);
});
