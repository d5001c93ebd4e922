import type { BridgeOptions } from './server.ts';

/** What the environment says, or an error that names the variable that is wrong. */
export function bridgeOptions(env: Readonly<Record<string, string | undefined>>): BridgeOptions {
  const folder = env['BRIDGE_DATA'];
  if (folder === undefined) throw new Error('BRIDGE_DATA is not set.');
  const host = env['BRIDGE_HOST'];
  return {
    port: whole(env, 'PORT', 0, 65_535) ?? 8_081,
    ...(host !== undefined && { host }),
    username: secret(env, 'BRIDGE_USERNAME', /^[\x21-\x39\x3b-\x7e]+$/),
    password: secret(env, 'BRIDGE_PASSWORD', /^[\x21-\x7e]+$/),
    backend: {
      log: {
        folder,
        ...optional('partitions', whole(env, 'BRIDGE_PARTITIONS', 1, 1_000)),
        ...optional('segmentBytes', whole(env, 'BRIDGE_SEGMENT_BYTES', 1_024, 2 ** 30)),
        ...optional('retentionBytes', whole(env, 'BRIDGE_RETENTION_BYTES', 1_024, 2 ** 50)),
        ...optional('retentionMs', whole(env, 'BRIDGE_RETENTION_MS', 1_000, 2 ** 50)),
        ...optional('totalBytes', whole(env, 'BRIDGE_MAX_BYTES', 1_024, 2 ** 50)),
      },
    },
  };
}

/** The client encodes credentials byte by byte, so they have to be ASCII; a colon ends a username. */
function secret(env: Readonly<Record<string, string | undefined>>, name: string, pattern: RegExp): string {
  const value = env[name];
  if (value === undefined || !pattern.test(value)) {
    throw new Error(
      `${name} has to be set, to visible ASCII characters${name === 'BRIDGE_USERNAME' ? ' without a colon' : ''}.`,
    );
  }
  return value;
}

function whole(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = env[name];
  if (value === undefined || value === '') return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < min || number > max) {
    throw new Error(`${name} is a whole number from ${min} to ${max}, not ${value}.`);
  }
  return number;
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { [N in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [N in Name]?: Value });
}
