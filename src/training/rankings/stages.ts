/** The stages of a ranking's run. */
import type { Candidates } from '../../define/candidates.ts';
import type { Manifest } from '../../inference/bundle.ts';
import { parseCandidates } from '../../inference/registry.ts';
import { ANSWERERS_BY_DEFAULT } from '../../inference/segments.ts';
import { answerersOf } from '../runs/evaluation.ts';
import type { Pieces, Shown, StageWork } from '../runs/pieces.ts';
import type { LoadedVersion } from '../runs/ports.ts';
import { candidatePieces } from './candidates.ts';
import { rankingEvaluation } from './evaluation.ts';
import { judgedTest, type RankingOpponent, shownOf } from './judged.ts';
import { scorerOf } from './lists.ts';
import { lessonPieces } from './rows.ts';
import type { RankingWork } from './work.ts';

export function rankingStages(work: RankingWork): StageWork {
  return {
    prepare: () => candidatePieces(work),
    learn: () => lessonPieces(work),
    judge: (model) => judgePieces(work, model),
    show: (model) => showPieces(work, model),
  };
}

async function* judgePieces(
  work: RankingWork,
  model: Uint8Array<ArrayBuffer>,
): ReturnType<StageWork['judge']> {
  const { manifest, moments, run, ports } = work;
  const sessions: LoadedVersion[] = [];
  const load = async (bytes: Uint8Array<ArrayBuffer>) => {
    const session = await ports.load(bytes);
    sessions.push(session);
    return session;
  };
  try {
    const session = await load(model);
    const champion = await ports.registry.champion(run.model);
    const opponent = champion && (await opponentOf(work, champion, load));
    const test = yield* judgedTest(work, session, typeof opponent === 'string' ? undefined : opponent);
    const why = typeof opponent === 'string' ? opponent : null;
    const tested = moments.filter(({ split }) => split === 'test').map(({ at }) => at);
    const evaluating = rankingEvaluation({
      dataset: { id: manifest.id, digest: manifest.digest },
      from: new Date(Math.min(...tested)).toISOString(),
      to: new Date(Math.max(...tested)).toISOString(),
      ...{
        seed: run.seed,
        test,
        champion: champion === undefined ? null : { version: champion.version, why },
      },
    });
    for (let done = 1; ; done += 1) {
      const step = evaluating.next();
      if (step.done === true) {
        const evaluation = step.value;
        return { evaluation, shown: await shownOf(work, test.shown, answerersOf(evaluation)) };
      }
      yield { progress: { done, of: 0 } };
    }
  } finally {
    for (const session of sessions) session.release();
  }
}

async function* showPieces(work: RankingWork, model: Uint8Array<ArrayBuffer>): Pieces<Shown> {
  const session = await work.ports.load(model);
  try {
    const { shown } = yield* judgedTest(work, session, undefined);
    return await shownOf(work, shown, answerersOf(work.run.evaluation ?? {}));
  } finally {
    session.release();
  }
}

/**
 * How the champion answers the test, or why it cannot be compared. It has its own candidates if they are as of no later than
 * the test: those of a later moment would know what was taken, so the candidates of each query's moment stand in.
 */
async function opponentOf(
  { definition, moments, ports }: RankingWork,
  champion: Manifest,
  load: (bytes: Uint8Array<ArrayBuffer>) => Promise<LoadedVersion>,
): Promise<RankingOpponent | string> {
  const {
    inputs,
    outputs,
    model,
    candidates,
    trainedFrom,
    segments: answerers = ANSWERERS_BY_DEFAULT,
  } = champion;
  const [input, ...otherInputs] = inputs;
  const [output, ...otherOutputs] = outputs;
  if (input === undefined || output === undefined || otherInputs.length + otherOutputs.length > 0)
    return 'It has other inputs and outputs than a ranking that is trained here.';
  if (input.columns?.join() !== definition.columns.join())
    return 'It takes other columns than the declaration has now.';
  const bytes = await ports.registry.artifact(model.sha256);
  if (bytes === undefined) return 'Its artifact is gone.';
  const session = await load(bytes);
  const score = scorerOf(session, input.name, output.name);
  const firstTest = Math.min(...moments.filter(({ split }) => split === 'test').map(({ at }) => at));
  const madeAt = Date.parse(String(trainedFrom['asOf'] ?? ''));
  if (candidates === undefined || !(madeAt <= firstTest)) return { score, answerers, candidates: undefined };
  const own = await ports.registry.artifact(candidates.sha256);
  return { score, answerers, candidates: own && parsedOrNone(own) };

  function parsedOrNone(artifact: Uint8Array<ArrayBuffer>): Candidates | undefined {
    try {
      return parseCandidates(definition, artifact);
    } catch {
      // Of a release that declared them otherwise.
      return undefined;
    }
  }
}
