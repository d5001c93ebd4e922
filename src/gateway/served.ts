import type { ModelDefinition } from '../define/model.ts';
import type { Loaded } from '../define/view.ts';
import type { ServedAnswer, ServedDraft } from '../inference/feedback/record.ts';
import { isLogged } from '../inference/feedback/sampling.ts';

/** What the log of served predictions has of one request: the answer when it is computed, and what follows from the cache. */
export class ServedNote {
  /** Takes a computed answer; undefined for a model that logs none. */
  readonly drafted: ((draft: ServedDraft) => void) | undefined;
  readonly #served: (answer: ServedAnswer) => void;
  #draft: ServedDraft | undefined;

  constructor({ feedback }: ModelDefinition, served: (answer: ServedAnswer) => void) {
    this.#served = served;
    this.drafted =
      feedback &&
      ((draft) => {
        if (isLogged(feedback.share, draft.id)) this.#draft = draft;
      });
  }

  /**
   * Logs the answer, unless it is none of the share that is logged.
   *
   * @param requestId is called for an answer that is logged.
   * @param ttlS how long the cache may serve it again if it keeps it, in seconds.
   */
  answered({ storable, asOf }: Loaded, requestId: () => string, ttlS: number): void {
    if (this.#draft === undefined) return;
    const servedAgainS = storable === false ? 0 : ttlS;
    this.#served({ ...this.#draft, request: requestId(), servedAgainS, moment: asOf ?? null });
  }
}
