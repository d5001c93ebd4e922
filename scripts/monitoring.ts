/**
 * `npm run monitoring`: writes the rules of Prometheus, the configuration of Alertmanager and dashboards of Grafana for the
 * objectives of the catalog, and what collects the log. It reads the declarations and needs no running server.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readOptions } from './command-line/options.ts';
import { runCommand } from './command-line/run.ts';
import { monitoringFiles } from './monitoring/files.ts';
import { loadCatalog } from './project/catalog.ts';

const DEFAULT_OUT = 'deploy/monitoring';

const USAGE = `npm run monitoring -- [options]

  Writes the rules of Prometheus, the configuration of Alertmanager and dashboards of Grafana for the objectives of the
  catalog in src/catalog/, and what collects the log with Filebeat, Logstash and Elasticsearch.

  --out DIR   the folder to write to (${DEFAULT_OUT})`;

await runCommand(async () => {
  const { values } = readOptions({
    command: 'npm run monitoring',
    options: {
      out: { type: 'string', default: DEFAULT_OUT },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const { objectives } = await loadCatalog();
  for (const [name, text] of Object.entries(monitoringFiles(objectives))) {
    const file = join(values.out, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    console.log(`Wrote ${file}.`);
  }
});
