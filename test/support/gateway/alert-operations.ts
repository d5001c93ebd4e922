import type { Sample } from './operations.ts';

const BYTES_MAX = 16_384;
/** It begins and ends far in the future. */
const SILENCE = {
  matchers: [{ label: 'objective', is: '=', value: 'hit_ratio' }],
  startsAt: '2098-12-30T00:00:00Z',
  endsAt: '2098-12-31T00:00:00Z',
  comment: 'a release',
};

/** Samples of the operations of alerts and incidents. */
export function alertOperations(): Record<string, Sample> {
  const admin = '/v1/admin';
  const incident = `${admin}/incidents/999999`;
  const small = { bytesMax: BYTES_MAX };
  const unknown = (verb: string, body: unknown): Record<string, Sample> => ({
    [`POST /v1/admin/incidents/{id}/${verb}`]: {
      path: `${incident}/${verb}`,
      body,
      statuses: [404],
      ...small,
    },
  });
  const quiet = (path: 'silences' | 'maintenance'): Record<string, Sample> => ({
    [`GET /v1/admin/${path}`]: { path: `${admin}/${path}`, statuses: [200] },
    [`POST /v1/admin/${path}`]: { path: `${admin}/${path}`, body: SILENCE, statuses: [201, 422], ...small },
    [`DELETE /v1/admin/${path}/{id}`]: { path: `${admin}/${path}/none`, statuses: [404] },
  });
  return {
    'GET /health/dependencies': { path: '/health/dependencies', statuses: [200] },
    'GET /v1/admin/alerts': { path: `${admin}/alerts`, statuses: [200] },
    'POST /v1/admin/alerts/test': { path: `${admin}/alerts/test`, statuses: [202] },
    ...quiet('silences'),
    ...quiet('maintenance'),
    'GET /v1/admin/incidents': { path: `${admin}/incidents`, statuses: [200] },
    'POST /v1/admin/incidents': {
      path: `${admin}/incidents`,
      body: { title: 'a test', severity: 'ticket' },
      statuses: [201],
      ...small,
    },
    'GET /v1/admin/incidents/{id}': { path: incident, statuses: [404] },
    'GET /v1/admin/incidents/{id}/postmortem': { path: `${incident}/postmortem`, statuses: [404] },
    ...unknown('acknowledge', {}),
    ...unknown('notes', { text: 'a test' }),
    ...unknown('resolve', { text: 'a test' }),
    ...unknown('severity', { severity: 'page' }),
  };
}
