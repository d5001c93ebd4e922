import * as z from 'zod';

/** An answer of JSON with a status of 2xx, as an OpenAPI document has it. */
export interface Success {
  readonly operationId: string;
  readonly status: string;
  /** Undefined if there is none. */
  readonly example: unknown;
}

const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({ operationId: z.string(), responses: z.record(z.string(), z.looseObject({})) }),
    ),
  ),
});
const Json = z.looseObject({
  content: z.looseObject({ 'application/json': z.looseObject({ example: z.unknown() }) }),
});

/** The successful answers of JSON of all operations of a document. */
export function successes(document: unknown): Success[] {
  const { paths } = Document.parse(document);
  return Object.values(paths).flatMap((methods) =>
    Object.values(methods).flatMap(({ operationId, responses }) =>
      Object.entries(responses).flatMap(([status, response]) => {
        const media = Json.safeParse(response);
        if (!status.startsWith('2') || !media.success) return [];
        return [{ operationId, status, example: media.data.content['application/json'].example }];
      }),
    ),
  );
}
