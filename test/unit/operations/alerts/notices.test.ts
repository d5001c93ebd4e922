import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { retryDelayMs, sendNotice, TRIED_MS } from '../../../../src/operations/alerts/deliver.ts';
import { bodyOf, isFor, type Notice } from '../../../../src/operations/alerts/notices.ts';
import { isReceiver, parseTargets, type Target } from '../../../../src/operations/alerts/targets.ts';

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes....').toString('base64')}`;
const COMMON = { severities: ['page', 'ticket'], notices: ['alerts', 'incidents', 'warnings'] } as const;
const target = (of: object): Target => parseTargets(JSON.stringify([of]), true)[0] as Target;
const GENERIC = { name: 'hooks', kind: 'generic', url: 'https://hooks.example.com/x', secret: SECRET };
const PAGERDUTY = { name: 'oncall', kind: 'pagerduty', routingKey: 'R'.repeat(32) };

const firing: Notice = {
  type: 'alert.firing',
  timestamp: '2026-11-30T12:00:00.000Z',
  data: {
    alert: {
      ...{ id: 'a1', alertname: 'MillraceDependencyFails', labels: { peer: 'database' }, severity: 'page' },
      ...{ state: 'firing', since: '2026-11-30T11:58:00.000Z', summary: 'database <fails> & more.' },
      ...{ description: '97 % failed.', runbook: 'docs/runbooks/dependency-fails.md' },
    },
  },
};
const warned: Notice = {
  type: 'warning.found',
  timestamp: '2026-11-30T12:00:00.000Z',
  data: {
    warning: {
      ...{ name: 'MillraceRegression', labels: { of: 'GET /v1/products' }, summary: 'Slower <than> before.' },
      page: 'docs/alerts.md#early-warning',
    },
  },
};
const acknowledged: Notice = {
  type: 'incident.acknowledged',
  timestamp: '2026-11-30T12:01:00.000Z',
  data: {
    incident: {
      ...{ id: 7, title: 'database fails', severity: 'page', state: 'acknowledged', alert: 'a1' },
      ...{ openedAt: '2026-11-30T12:00:00.000Z', by: 'key:a', text: 'Acknowledged.' },
    },
  },
};

describe('the targets', () => {
  it.each([
    ['https://hooks.example.com/x', true],
    ['http://hooks.example.com/x', false],
    ['https://user:secret@hooks.example.com/x', false],
    ['https://127.0.0.1/x', false],
    ['https://2130706433/x', false],
    ['https://0x7f.1/x', false],
    ['https://[::1]/x', false],
    ['https://169.254.169.254/latest/meta-data', false],
    ['https://localhost/x', false],
    ['https://db.internal/x', false],
    ['https://printer.local./x', false],
    ['https://intranet/x', false],
    ['http://localhost:9/x', false],
    ['file:///etc/passwd', false],
    ['nothing', false],
  ])('of %s: %s', (url, isAllowed) => {
    expect(isReceiver(url, false)).toBe(isAllowed);
  });

  it('may be on the own machine in the local stack alone', () => {
    expect(isReceiver('http://127.0.0.1:9/x', true)).toBe(true);
    expect(isReceiver('http://10.0.0.1/x', true)).toBe(false);
  });

  it.each([
    ['{', 'ALERT_WEBHOOKS is no JSON.'],
    [JSON.stringify([GENERIC, GENERIC]), 'ALERT_WEBHOOKS is invalid: : two have the same name.'],
    [JSON.stringify([{ ...GENERIC, secret: 'whsec_short' }]), /secret: expected whsec_/],
    [JSON.stringify([{ ...GENERIC, url: 'https://u:topsecret@x.example.com' }]), /url: expected an https/],
  ])('are refused without a value in the message: %s', (configured, message) => {
    expect(() => parseTargets(configured, false)).toThrow(message);
    expect(() => parseTargets(configured, false)).not.toThrow(/topsecret/);
  });
});

describe('a notice', () => {
  it('goes to those who want it', () => {
    const only = target({ ...GENERIC, ...COMMON, severities: ['ticket'] });
    expect([isFor(only, firing), isFor(only, { ...firing, type: 'test', data: {} })]).toEqual([false, true]);
    expect(isFor(target({ ...GENERIC, notices: ['incidents'] }), firing)).toBe(false);
    const pager = target(PAGERDUTY);
    expect(isFor(target(GENERIC), warned)).toBe(true);
    expect(isFor(target(PAGERDUTY), warned)).toBe(false);
    expect(isFor(target({ ...GENERIC, notices: ['alerts'] }), warned)).toBe(false);
    expect(isFor(target({ ...GENERIC, severities: ['page'] }), warned)).toBe(false);
    const slack = target({ name: 'chat', kind: 'slack', url: 'https://hooks.example.com/x' });
    expect(bodyOf(slack, warned)).toContain('Slower &lt;than&gt; before.');
    const opened: Notice = { ...acknowledged, type: 'incident.opened' };
    expect([isFor(pager, firing), isFor(pager, acknowledged), isFor(pager, opened)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('for PagerDuty is one incident of its alert', () => {
    const events = [firing, acknowledged, { ...firing, type: 'alert.resolved' } as const].map((notice) =>
      JSON.parse(bodyOf(target(PAGERDUTY), notice)),
    );
    expect(events).toMatchObject([
      {
        ...{ routing_key: 'R'.repeat(32), event_action: 'trigger', dedup_key: 'a1' },
        payload: { severity: 'critical', source: 'database', class: 'MillraceDependencyFails' },
      },
      { event_action: 'acknowledge', dedup_key: 'a1' },
      { event_action: 'resolve', dedup_key: 'a1' },
    ]);
  });

  it('for Slack has nothing that Slack would interpret', () => {
    const body = bodyOf(target({ name: 'chat', kind: 'slack', url: 'https://hooks.slack.com/x' }), firing);
    expect(JSON.parse(body)).toMatchObject({
      text: ':red_circle: *MillraceDependencyFails (database)* firing: database &lt;fails&gt; &amp; more.',
    });
  });
});

describe('a delivery', () => {
  it('is signed as Standard Webhooks describes', async () => {
    const received: { headers: IncomingMessage['headers']; body: string }[] = [];
    await using server = await listening(async (request) => {
      received.push({ headers: request.headers, body: await text(request) });
      return 200;
    });
    const reason = await sendNotice(
      target({ ...GENERIC, url: server.url }),
      { id: 'n1', notice: firing, nowMs: 1_796_040_000_123 },
      fetch,
    );
    expect(reason).toBeNull();
    const [{ headers, body } = { headers: {}, body: '' }] = received;
    expect(JSON.parse(body)).toEqual(firing);
    const signed = `n1.${headers['webhook-timestamp']}.${body}`;
    const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64');
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
    );
    expect([headers['webhook-id'], headers['webhook-timestamp']]).toEqual(['n1', '1796040000']);
  });

  it.each([
    [500, 'It answered 500.'],
    [302, 'It answered 302.'],
    ['hang', 'It did not answer within 200 ms.'],
  ] as const)('of which the receiver says %s is not taken', async (answer, reason) => {
    await using server = await listening(async () => answer);
    const sent = { id: 'n1', notice: firing, nowMs: 0 };
    expect(await sendNotice(target({ ...GENERIC, url: server.url }), sent, fetch, 200)).toBe(reason);
    expect(server.requests()).toBe(1);
  });

  it('that cannot be reached says no address', async () => {
    const sent = { id: 'n1', notice: firing, nowMs: 0 };
    const reason = await sendNotice(
      target({ ...GENERIC, url: 'http://127.0.0.1:9/token' }),
      sent,
      fetch,
      1_000,
    );
    expect(reason).toBe('It cannot be reached: TypeError');
  });

  it('is repeated over a day, ever more seldom, and never twice at the same moment', () => {
    const delays = (random: number) =>
      Array.from({ length: 110 }, (_, at) => retryDelayMs(at + 1, () => random));
    expect(delays(0).slice(0, 4)).toEqual([2_500, 5_000, 10_000, 20_000]);
    expect(delays(0.999).every((ms, at) => ms > (delays(0)[at] ?? 0) && ms <= 900_000)).toBe(true);
    expect(delays(0.5).reduce((sum, ms) => sum + ms)).toBeGreaterThan(TRIED_MS / 2);
  });
});

/** A receiver. */
async function listening(answer: (request: IncomingMessage) => Promise<number | 'hang'>) {
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests += 1;
    const status = await answer(request);
    if (status === 'hang') return;
    if (status === 302) response.setHeader('location', '/elsewhere');
    response.statusCode = status;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    requests: () => requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
