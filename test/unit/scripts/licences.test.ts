import { describe, expect, it } from 'vitest';
import { licenceFindings } from '../../../scripts/project/licences.ts';

describe('a licence', () => {
  it.each(['MIT', 'Apache-2.0', 'MIT OR Apache-2.0', '(MIT OR GPL-3.0-only)', 'Apache-2.0 AND MIT'])(
    '%s is accepted for what is deployed',
    (license) => {
      expect(licenceFindings({ '': {}, 'node_modules/a': { license } })).toEqual([]);
    },
  );

  it.each([
    'GPL-3.0-only',
    'MPL-2.0',
    'LGPL-3.0-or-later',
    'MIT AND GPL-3.0-only',
    'SEE LICENSE IN FILE',
    'UNLICENSED',
  ])('%s is not', (license) => {
    expect(licenceFindings({ '': {}, 'node_modules/a/node_modules/@b/c': { license } })).toEqual([
      `@b/c is a part of what is deployed and has the licence ${license}`,
    ]);
  });

  it('of a tool may ask for the source of changes to the tool, and no more', () => {
    expect(
      licenceFindings({
        'node_modules/a': { license: 'MPL-2.0', dev: true },
        'node_modules/b': { license: 'AGPL-3.0-only', dev: true },
      }),
    ).toEqual(['b is a tool and has the licence AGPL-3.0-only']);
  });

  it('must be stated, except by a package for another platform', () => {
    expect(
      licenceFindings({
        'node_modules/a': {},
        'node_modules/a-win32-x64': { optional: true, os: ['win32'] },
        'node_modules/b': { optional: true },
      }),
    ).toEqual(['a states no licence', 'b states no licence']);
  });
});
