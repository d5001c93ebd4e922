import type { Command } from 'commander';
import {
  EvidenceRecord,
  MEASURES,
  type Verdict,
  verdictOf,
} from '../../../src/inference/rollout/evidence.ts';
import { Cli } from '../cli.ts';

const ROLLOUT = '/v1/admin/models/{model}/rollout';
/** The most steps that the worker shows at once. */
const STEPS = 50;
/** Reasons that a person or the registry had, and that no evidence gives. */
const BY_HAND = new Set(['started', 'approved', 'aborted', 'superseded', 'record_full']);

/** The commands under `models` that watch the rollout of a version and decide on it. */
export function registerRollouts(models: Command): void {
  models
    .command('rollout')
    .description('shows where the rollout of a model is, and its steps, the newest first')
    .argument('<model>')
    .action(async (model: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get(ROLLOUT, { path: { model }, query: { limit: STEPS } });
      const { live, isUnderWay, waitsFor } = data;
      if (live !== null && isUnderWay) {
        const { champion, canary } = live.requests;
        cli.reporter.notice(
          `Seen in this step: ${champion} requests of the champion, ${canary} of the new version.`,
        );
      }
      if (waitsFor !== null) {
        const { requests, labels, seconds, labelsFrom, exclusion } = waitsFor;
        const from = labelsFrom === null ? '' : `, which come from ${labelsFrom} on`;
        cli.reporter.notice(
          `The step waits for ${requests} requests, ${Math.ceil(seconds)} s and ${labels} labels${from}.`,
        );
        if (exclusion !== null)
          cli.reporter.notice(
            `A version with ${exclusion.odds} times the tolerated odds of a miss would come as far with a probability of up to ${exclusion.passesNow.toFixed(3)}; the step waits for ${exclusion.passes}.`,
          );
      }
      const rows = data.steps.map(({ at, stage, share, version, base, reason, by }) => [
        ...[at, stage, share, version, base, reason, by],
      ]);
      cli.table(data, ['at', 'stage', '%', 'version', 'champion', 'reason', 'by'], rows);
    });
  models
    .command('start-rollout')
    .description(
      'starts the rollout of a registered version: first it is only compared, and nobody gets its answers',
    )
    .argument('<model>')
    .argument('<version>')
    .action(async (model: string, version: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post(ROLLOUT, { path: { model }, body: { version } });
      cli.print(data, `The rollout of version ${version} of ${model} is under way.`);
    });
  models
    .command('abort-rollout')
    .description('ends a rollout: the champion answers for all again')
    .argument('<model>')
    .action(async (model: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post(`${ROLLOUT}/abort`, { path: { model } });
      cli.print(data, `The rollout of version ${data.version} of ${model} has ended.`);
    });
  models
    .command('approve-rollout')
    .description('lets the version of a rollout that waits for it become the champion')
    .argument('<model>')
    .action(async (model: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.post(`${ROLLOUT}/approve`, { path: { model } });
      cli.print(data, `Version ${data.version} of ${model} answers from now on.`);
    });
  registerVerdict(models);
}

function registerVerdict(models: Command): void {
  models
    .command('verdict')
    .description('derives each decision of the rollouts of a model from its evidence again, and compares')
    .argument('<model>')
    .action(async (model: string, _, command: Command) => {
      const cli = new Cli(command);
      const { data } = await cli.client.get(ROLLOUT, { path: { model }, query: { limit: STEPS } });
      const derived = data.steps
        .filter(({ reason }) => !BY_HAND.has(reason))
        .map(({ id, at, stage, reason, evidence }) => {
          const verdict = verdictOf(EvidenceRecord.parse(evidence));
          return { id, at, stage, reason, verdict, agrees: agrees(verdict, stage, reason) };
        });
      const rows = derived.map(({ at, stage, reason, verdict, agrees: isSame }) => [
        ...[at, stage, reason, isSame ? 'yes' : 'NO'],
        ...MEASURES.map((measure) => verdict.evidence[measure]?.toFixed(2)),
        verdict.threshold.toFixed(2),
      ]);
      const head = ['at', 'stage', 'reason', 'derived again', ...MEASURES, 'threshold'];
      cli.table({ model, steps: derived }, head, rows);
      const wrong = derived.filter(({ agrees: isSame }) => !isSame).length;
      if (wrong > 0) throw new Error(`${wrong} decisions do not follow from their evidence.`);
    });
}

function agrees({ action, reason }: Verdict, stage: string, recorded: string): boolean {
  return action === (stage === 'rolled_back' ? 'roll_back' : 'advance') && reason === recorded;
}
