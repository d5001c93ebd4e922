/**
 * The models that answer from the features of an entity. A model is an ONNX graph that you publish to the running
 * deployment. docs/catalog.md shows how to declare one. `models` in project.ts names the source of its first version.
 */
export {};
