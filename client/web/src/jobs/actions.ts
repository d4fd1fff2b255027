/** What can be done with jobs, one or many. */
import { api, dataOf, sentenceOf } from "@/api/client";
import { live } from "@/live/jobs";
import { tell } from "@/ui/toasts";
import { t } from "@/texts";

export type ActionName = "cancel" | "retry" | "remove";

/** Requests at a time: browsers open no more than six connections, and the page needs some itself. */
const AT_A_TIME = 3;

const path = (id: string) => ({ path: { job_id: id } });

const ACTIONS: Record<ActionName, (id: string) => Promise<void>> = {
  async cancel(id) {
    live.put(await dataOf(api.POST("/api/jobs/{job_id}/cancel", { params: { ...path(id), query: { confirm: true } } })));
  },
  async retry(id) {
    live.put(await dataOf(api.POST("/api/jobs/{job_id}/retry", { params: path(id) })));
  },
  async remove(id) {
    await api.POST("/api/jobs/{job_id}/delete", { params: { ...path(id), query: { confirm: true } }, parseAs: "text" });
    live.drop(id);
  },
};

/**
 * Do one thing with every job; what one refuses does not keep the others from it.
 *
 * @returns how many it was done with.
 */
export async function forEach(ids: readonly string[], act: (id: string) => Promise<void>, done: (count: number) => string): Promise<number> {
  const waiting = [...ids];
  const refused: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        await act(id);
      } catch (error) {
        refused.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  const good = ids.length - refused.length;
  if (good > 0) tell(done(good));
  if (refused.length > 0) tell(t.jobs.failedSome(refused.length, sentenceOf(refused[0])), "bad");
  return good;
}

export function act(name: ActionName, ids: readonly string[]): Promise<number> {
  return forEach(ids, ACTIONS[name], t.jobs.done[name]);
}

/** The higher one renders first. */
export function setPriority(ids: readonly string[], priority: number): Promise<number> {
  return forEach(
    ids,
    async (id) => live.put(await dataOf(api.PATCH("/api/jobs/{job_id}", { params: path(id), body: { priority } }))),
    t.jobs.done.priority,
  );
}
