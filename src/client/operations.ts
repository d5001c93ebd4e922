/**
 * The types of calls, from the types of the routes. They accept what `npm run client:types` writes, and what
 * `openapi-typescript` makes of `/openapi.json`: both have one form.
 */
export type Method = 'get' | 'put' | 'post' | 'delete' | 'patch';

/** The paths that have the method. */
export type PathsWith<Paths, M extends Method> = {
  [P in keyof Paths]: Paths[P] extends { [K in M]: { responses: object } } ? P : never;
}[keyof Paths] &
  string;

export type OperationOf<Paths, P extends keyof Paths, M extends Method> = M extends keyof Paths[P]
  ? NonNullable<Paths[P][M]>
  : never;

/** The member `Name` as it is declared, required or optional; an empty object if there is none. */
type Member<T, Name extends string> = T extends { [K in Name]: infer Value }
  ? [Value] extends [never]
    ? object
    : { [K in Name]: Value }
  : T extends { [K in Name]?: infer Value }
    ? [Exclude<Value, undefined>] extends [never]
      ? object
      : Name extends keyof T
        ? { [K in Name]?: Exclude<Value, undefined> }
        : object
    : object;

type ParametersOf<Operation> = Operation extends { parameters: infer Parameters } ? Parameters : object;

/** JSON has the type of its schema. Other media are sent as they are, with their `contentType`. */
type BodyOf<Content> = {
  [Media in keyof Content]: Media extends 'application/json' ? Sent<Content[Media]> : Raw;
}[keyof Content];

/** What JSON makes of a value: it leaves members out that are undefined, and a list may be one that nobody changes. */
type Sent<T> = T extends readonly unknown[]
  ? number extends T['length']
    ? readonly Sent<T[number]>[]
    : T
  : T extends object
    ? { [Name in keyof T]: Sent<T[Name]> | (object extends Pick<T, Name> ? undefined : never) }
    : T;
type Raw = string | ArrayBuffer | Uint8Array<ArrayBuffer> | Blob;

type BodyMember<Operation> = Operation extends { requestBody: { content: infer Content } }
  ? { body: BodyOf<Content> }
  : Operation extends { requestBody?: { content: infer Content } }
    ? 'requestBody' extends keyof Operation
      ? { body?: BodyOf<Content> }
      : object
    : object;

/** What a call passes: the parameters of the path and of the query, and the body. */
export type InputOf<Operation> = Member<ParametersOf<Operation>, 'path'> &
  Member<ParametersOf<Operation>, 'query'> &
  BodyMember<Operation>;

type Success = 200 | 201 | 202 | 203 | 206 | 207;

/** The body of an answer of success; undefined for 204. */
export type DataOf<Operation> = Operation extends { responses: infer Responses }
  ? {
      [Status in keyof Responses]: Status extends Success
        ? Responses[Status] extends { content: infer Content }
          ? Content[keyof Content]
          : unknown
        : Status extends 204
          ? undefined
          : never;
    }[keyof Responses]
  : never;
