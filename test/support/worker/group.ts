import { GroupCommit } from '../../../src/platform/group-commit.ts';

interface Bindings {
  /** Is told of `/begun/<name>`, and answers `/commit/<items>` when the test lets the commit end. */
  readonly GATE: { fetch(url: string): Promise<Response> };
}

/** So long that only the test ends the time in which a group gathers. */
const GATHER_MS = 20_000;
const groups = new GroupCommit<string, number>({
  ...{ items: 10, bytes: 1_000, gatherMs: GATHER_MS, waitMs: GATHER_MS },
});

/** Commits the name in the path together with those of other requests, and answers with the size of the group. */
export default {
  async fetch(request: Request, { GATE }: Bindings, ctx: ExecutionContext): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    const tell = async (what: string) => void (await (await GATE.fetch(`http://gate/${what}`)).text());
    if (name === '') return new Response('here');
    await tell(`begun/${name}`);
    const together = await groups.add([{ item: name, bytes: 1 }], {
      commit: async (items) => {
        await tell(`commit/${items.join('+')}`);
        return items.length;
      },
      keepAlive: (work) => ctx.waitUntil(work),
      onTimeout: () => new Error('too late'),
    });
    return Response.json(together);
  },
};
