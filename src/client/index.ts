/** A typed client of a Millrace worker, for browsers, Workers and Node. docs/client.md describes it. */
export { AddressError } from './address.ts';
export { type Change, type ChangesOptions, changes, type LiveEvent } from './changes.ts';
export {
  type Answer,
  type CallOptions,
  type Client,
  type ClientOptions,
  type Consistency,
  createClient,
  type RawCall,
  type Session,
} from './client.ts';
export {
  DeadlineError,
  MillraceError,
  type ProblemCode,
  type ProblemDocument,
  ProblemError,
  UnexpectedAnswerError,
  UnreachableError,
} from './errors.ts';
export {
  type EventOf,
  type EventVerdict,
  type OutgoingEvent,
  type SendOptions,
  type SendReport,
  sendEvents,
} from './events.ts';
export type { components, paths } from './routes.ts';
export type { ClientSystem } from './system.ts';
