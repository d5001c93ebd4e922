/** What became of the request that has a key; see `durable-objects/idempotency/store.ts`. */
export type Begun =
  | { readonly state: 'new' | 'in_flight' | 'reused' | 'full' }
  | { readonly state: 'done'; readonly status: number; readonly answer: ArrayBuffer | null };

/** Where keys and answers are. Each method has a deadline, and throws after it. */
export interface IdempotencyPort {
  /** @param id SHA-256 of the principal and the key. */
  readonly begin: (id: string, fingerprint: string, lease: string) => Promise<Begun>;
  /** @returns false if the lease has ended and the key belongs to another request. */
  readonly keep: (id: string, lease: string, status: number, answer: ArrayBuffer | null) => Promise<boolean>;
  readonly release: (id: string, lease: string) => Promise<void>;
}
