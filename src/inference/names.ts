/** The names of models in the cache and in the store of artifacts. */

/** The tag of every answer that a model made. Publishing another version under the name invalidates those answers. */
export function modelTag(name: string): string {
  return `model:${name}`;
}

/** The tag of where the rollout of a model is. */
export function rolloutTag(name: string): string {
  return `${modelTag(name)}:rollout`;
}

/** The tag of the answers that the new version of a rollout made. The end of the rollout invalidates them. */
export function canaryTag(name: string): string {
  return `${modelTag(name)}:canary`;
}

/** R2 key of an artifact, by its content. */
export function artifactKey(sha256: string): string {
  return `artifacts/${sha256}`;
}

/** R2 key of the copy of the champion's manifest, which is read while the database does not answer. */
export function championKey(name: string): string {
  return `models/${name}/champion.json`;
}
