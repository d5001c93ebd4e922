/** The one function of Node that the worker uses; the runtime has it itself (`nodejs_compat`). */
declare module 'node:zlib' {
  export function gunzipSync(
    data: Uint8Array,
    options: { readonly maxOutputLength: number },
  ): Uint8Array<ArrayBuffer>;
}
