import { stringify } from 'yaml';
import { type FieldKind, LOG_FIELDS } from '../../src/platform/log-fields.ts';

/** The data stream, by the naming scheme of Elastic: type, data set, namespace. */
export const LOG_STREAM = 'logs-millrace-default';
const MAPPINGS = 'millrace-logs-mappings';
const LIFECYCLE = 'millrace-logs-lifecycle';
export const LOG_PIPELINE = 'millrace-logs';
const POLICY = 'millrace-logs';

/** What stands for the text of a line that Millrace has not written: the runtime repeats messages with their values. */
export const FOREIGN_LINE = 'A line of the platform.';

/** How the fields of the table are indexed. Names and ids are compared as a whole. */
const TYPES: Readonly<Record<FieldKind, object>> = {
  name: { type: 'keyword', ignore_above: 256 },
  id: { type: 'keyword', ignore_above: 256 },
  offset: { type: 'keyword', ignore_above: 32 },
  number: { type: 'long' },
  ratio: { type: 'double' },
};

/** Fields that every line has, and those of errors. */
const OWN_TYPES: Readonly<Record<string, object>> = {
  '@timestamp': { type: 'date' },
  'ecs.version': TYPES.name,
  'error.message': { type: 'text' },
  'error.stack_trace': { type: 'text', index: false },
  'error.type': TYPES.name,
  'event.kind': TYPES.name,
  'log.level': TYPES.name,
  message: { type: 'text' },
  'millrace.causes': { type: 'text' },
  'service.name': TYPES.name,
  'service.version': TYPES.name,
};

/** The index is told every field, and takes no other. */
function mappings() {
  const ofTable = Object.entries(LOG_FIELDS).map(([name, kind]) => [name, TYPES[kind]] as const);
  const properties = Object.fromEntries(
    [...Object.entries(OWN_TYPES), ...ofTable].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return {
    template: {
      settings: { 'index.default_pipeline': LOG_PIPELINE },
      mappings: { dynamic: false, properties },
    },
  };
}

/** A line is JSON in `message`. Of a line that is not, nothing is kept but that it was there. */
function pipeline() {
  return {
    description: 'Takes the fields of a line of Millrace out of its text.',
    processors: [
      {
        json: {
          field: 'message',
          add_to_root: true,
          on_failure: [
            { set: { field: 'message', value: FOREIGN_LINE } },
            { set: { field: 'event.kind', value: 'pipeline_error' } },
          ],
        },
      },
    ],
  };
}

/** Kept for 30 days, as long as an objective counts. */
function policy() {
  return {
    policy: {
      phases: {
        hot: { min_age: '0ms', actions: { rollover: { max_age: '1d', max_primary_shard_size: '20gb' } } },
        warm: { min_age: '2d', actions: { readonly: {}, forcemerge: { max_num_segments: 1 } } },
        delete: { min_age: '30d', actions: { delete: {} } },
      },
    },
  };
}

const FILEBEAT_HEADER = `# Written by \`npm run monitoring\`; a change here is lost: put your own settings beside it.
# Logpush writes records of Workers Trace Events to a bucket of R2, and Filebeat reads them from there. The second input
# reads what \`wrangler tail --format json\` writes to a file.
`;

/** A variable of Filebeat's environment, with a default behind a colon. */
function variable(name: string): string {
  return `\${${name}}`;
}

function filebeat() {
  return {
    'filebeat.inputs': [
      {
        ...{ type: 'aws-s3', id: 'millrace-logpush', non_aws_bucket_name: variable('MILLRACE_LOG_BUCKET') },
        endpoint: `https://${variable('CLOUDFLARE_ACCOUNT_ID')}.r2.cloudflarestorage.com`,
        ...{
          access_key_id: variable('R2_ACCESS_KEY_ID'),
          secret_access_key: variable('R2_SECRET_ACCESS_KEY'),
        },
        ...{ bucket_list_interval: '60s', number_of_workers: 2, bucket_list_prefix: 'millrace/' },
      },
      { type: 'filestream', id: 'millrace-tail', enabled: false, paths: ['/var/log/millrace/*.json'] },
    ],
    'output.logstash': { hosts: [variable('LOGSTASH_HOST:127.0.0.1:5044')] },
  };
}

const LOGSTASH = `# Written by \`npm run monitoring\`; a change here is lost.
input {
  beats { port => 5044 }
}
filter {
  json { source => "message" target => "record" }
  # A record has the lines of one invocation: Logpush calls them Logs, \`wrangler tail\` logs.
  if [record][Logs] {
    split { field => "[record][Logs]" }
    mutate { replace => { "message" => "%{[record][Logs][Message][0]}" } }
  } else if [record][logs] {
    split { field => "[record][logs]" }
    mutate { replace => { "message" => "%{[record][logs][message][0]}" } }
  } else {
    # An invocation without a line. Its event has the address of the request.
    drop {}
  }
  # What the platform adds, such as addresses of requests, does not go on.
  prune { whitelist_names => ["^@timestamp$", "^message$"] }
}
output {
  elasticsearch {
    hosts => ["\${ELASTICSEARCH_URL:http://127.0.0.1:9200}"]
    user => "\${ELASTICSEARCH_USER:}"
    password => "\${ELASTICSEARCH_PASSWORD:}"
    data_stream => true
    data_stream_type => "logs"
    data_stream_dataset => "millrace"
    data_stream_namespace => "default"
  }
}
`;

/** The files that collect the log, by their names in `deploy/monitoring/`. Those of Elasticsearch are bodies of requests. */
export function logFiles(): Readonly<Record<string, string>> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    [`elasticsearch/_component_template.${MAPPINGS}.json`]: json(mappings()),
    [`elasticsearch/_component_template.${LIFECYCLE}.json`]: json({
      template: { settings: { 'index.lifecycle.name': POLICY } },
    }),
    [`elasticsearch/_ilm.policy.${POLICY}.json`]: json(policy()),
    [`elasticsearch/_index_template.${LOG_PIPELINE}.json`]: json({
      index_patterns: ['logs-millrace-*'],
      data_stream: {},
      // Above Elastic's own template for logs-*-*.
      priority: 200,
      composed_of: [MAPPINGS, LIFECYCLE],
      _meta: { description: 'Lines of Millrace, written by npm run monitoring' },
    }),
    [`elasticsearch/_ingest.pipeline.${LOG_PIPELINE}.json`]: json(pipeline()),
    'filebeat/filebeat.yml': FILEBEAT_HEADER + stringify(filebeat(), { lineWidth: 0 }),
    'logstash/millrace.conf': LOGSTASH,
  };
}
