import { readFileSync } from 'node:fs';
import { checkHistory, readHistory } from './history-checker.ts';

for (const f of process.argv.slice(2)) {
  const h = readHistory(readFileSync(f, 'utf8'));
  const { findings, judged } = checkHistory(h);
  const by = new Map<string, number>();
  for (const { check } of findings) by.set(check, (by.get(check) ?? 0) + 1);
  console.log(
    f,
    judged,
    'of',
    h.reads.length,
    'reads',
    h.writes.length,
    'writes',
    [...by],
    findings.slice(0, 3),
  );
}
