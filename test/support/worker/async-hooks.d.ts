/** The part of the runtime's `node:async_hooks` that the worker of tests uses. Types of Node would hide those of workers. */
declare module 'node:async_hooks' {
  export class AsyncLocalStorage<Store> {
    run<Result>(store: Store, callback: () => Result): Result;
    getStore(): Store | undefined;
  }
}
