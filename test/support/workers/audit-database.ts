import { afterAll, beforeAll, vi } from 'vitest';

/**
 * Answers the statements of the audit log, as a database would, for tests of actions in workerd, where no database
 * listens. Any other statement fails as it does there. `test/e2e/audit.long.test.ts` has the entries themselves.
 */
export function answerAuditStatements(): void {
  const others = globalThis.fetch;
  beforeAll(() => {
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const body = typeof init?.body === 'string' ? init.body : '';
      if (!body.includes('insert into \\"millrace\\".\\"audit_log\\"')) return await others(input, init);
      const isArray = new Headers(init?.headers).get('neon-array-mode') === 'true';
      return Response.json({
        command: 'INSERT',
        rowCount: 1,
        fields: [{ name: 'id', dataTypeID: 20 }],
        rows: [isArray ? ['1'] : { id: '1' }],
        rowAsArray: isArray,
      });
    });
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });
}
