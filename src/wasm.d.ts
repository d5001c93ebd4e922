declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}

/**
 * The loader of the ONNX runtime as Emscripten made it; onnxruntime-web exports it without types. Functions whose names
 * begin with `_` are C functions of the WASM module. A pointer or a handle is a number; 0 is null.
 */
declare module 'onnxruntime-web/ort-wasm-simd-threaded.mjs' {
  export interface OnnxModule {
    /** The memory, as bytes. Growth replaces the array. */
    readonly HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    stackSave(): number;
    stackRestore(stack: number): void;
    stackAlloc(bytes: number): number;
    getValue(pointer: number, type: 'i32' | '*'): number;
    setValue(pointer: number, value: number, type: 'i32' | '*'): void;
    UTF8ToString(pointer: number, bytesMax?: number): string;
    stringToUTF8(text: string, pointer: number, bytesMax: number): void;
    lengthBytesUTF8(text: string): number;
    _OrtInit(threads: number, logLevel: number): number;
    _OrtGetLastError(code: number, message: number): number;
    _OrtCreateSessionOptions(
      optimizationLevel: number,
      hasArena: boolean,
      hasMemoryPattern: boolean,
      executionMode: number,
      isProfiled: boolean,
      profilePrefix: number,
      logId: number,
      logLevel: number,
      logVerbosity: number,
      optimizedModelPath: number,
    ): number;
    _OrtCreateRunOptions(logLevel: number, logVerbosity: number, isTerminated: boolean, tag: number): number;
    _OrtCreateSession(bytes: number, length: number, options: number): number;
    _OrtReleaseSession(session: number): number;
    _OrtGetInputOutputCount(session: number, inputs: number, outputs: number): number;
    _OrtGetInputOutputMetadata(session: number, index: number, name: number, metadata: number): number;
    _OrtFree(pointer: number): number;
    _OrtCreateTensor(
      type: number,
      bytes: number,
      length: number,
      dimensions: number,
      rank: number,
      location: number,
    ): number;
    _OrtGetTensorData(tensor: number, type: number, bytes: number, dimensions: number, rank: number): number;
    _OrtReleaseTensor(tensor: number): number;
    _OrtRun(
      session: number,
      inputNames: number,
      inputs: number,
      inputCount: number,
      outputNames: number,
      outputCount: number,
      outputs: number,
      options: number,
    ): number;
  }

  export default function start(options: {
    readonly numThreads: number;
    /** Called once, to instantiate the WASM module with these imports. */
    readonly instantiateWasm: (
      imports: WebAssembly.Imports,
      receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ) => void;
    /** Takes each line that the runtime writes to its error stream. */
    readonly printErr: (line: string) => void;
  }): Promise<OnnxModule>;
}
