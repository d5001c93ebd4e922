import * as z from 'zod';
import { readOptions } from '../command-line/options.ts';
import { TARGET_OPTIONS } from '../command-line/target.ts';
import { askingOf } from './asking.ts';
import type { CliCommand } from './command.ts';

export const Digest = z.object({ digest: z.string(), cells: z.number(), events: z.number() });

/** Prints the digest of all features that are served now. */
export const digestCommand: CliCommand = {
  usage: '  digest             prints a digest of all features; equal features have equal digests',
  run: async (command, args) => {
    const { values } = readOptions({ command, args, options: TARGET_OPTIONS });
    console.log(digestLine(Digest.parse(await askingOf(values).ask('/v1/admin/features/digest'))));
  },
};

export function digestLine({ digest, cells, events }: z.output<typeof Digest>): string {
  return `${digest}  ${cells} cells of ${events} folds`;
}
