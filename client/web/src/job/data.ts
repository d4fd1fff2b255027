/** What the screens of one job ask for, kept fresh as the job moves. */
import { useQuery, useQueryClient } from "@tanstack/vue-query";
import { computed, onBeforeUnmount, type Ref, watch } from "vue";
import { api, dataOf, type Job, type Schemas } from "@/api/client";

export type JobFrames = Schemas["JobFrames"];
export type FrameState = "waiting" | "running" | "done" | "failed";

const PAGE = 2_000;
/** Frames that are asked for at most; the grid says so if there are more. */
export const MOST_FRAMES = 20_000;
const PAUSE = 700;

/** What is known of each frame, put together from the pages. */
export interface Frames {
  total: number;
  frames: string;
  failed: string;
  done: string;
  running: Schemas["RunningFrames"][];
  times: { frame: number; seconds: number; node: string }[];
  files: Map<number, string>;
  video: string | null;
}

async function allFrames(id: string, signal: AbortSignal): Promise<Frames> {
  const whole: Frames = { total: 0, frames: "", failed: "", done: "", running: [], times: [], files: new Map(), video: null };
  const joined = (a: string, b: string | undefined): string => (a && b ? `${a},${b}` : a || (b ?? ""));
  for (let offset: number | null = 0; offset !== null && offset < MOST_FRAMES; ) {
    const page: JobFrames = await dataOf(
      api.GET("/api/jobs/{job_id}/frames", { params: { path: { job_id: id }, query: { offset, limit: PAGE } }, signal }),
    );
    whole.total = page.total;
    whole.frames = joined(whole.frames, page.frames);
    whole.done = joined(whole.done, page.done);
    whole.failed = joined(whole.failed, page.failed);
    whole.running.push(...page.running);
    page.times.frames.forEach((frame, at) => {
      const seconds = page.times.seconds[at];
      if (seconds != null) whole.times.push({ frame, seconds, node: page.times.nodes[at] ?? "" });
    });
    for (const [frame, name] of Object.entries(page.files)) whole.files.set(Number(frame), name);
    whole.video = page.video ?? whole.video;
    offset = page.next_offset ?? null;
  }
  return whole;
}

/** Ask again when `moved` changes, but not more often than every `pause` ms. */
function freshWith(moved: () => string, key: () => readonly unknown[], pause = PAUSE): void {
  const queries = useQueryClient();
  let timer = 0;
  watch(moved, () => {
    if (timer !== 0) return;
    timer = window.setTimeout(() => {
      timer = 0;
      void queries.invalidateQueries({ queryKey: key() });
    }, pause);
  });
  onBeforeUnmount(() => clearTimeout(timer));
}

export function useFrames(job: Ref<Job | undefined>) {
  const key = (): readonly unknown[] => ["frames", job.value?.id];
  freshWith(() => `${job.value?.frames_done} ${job.value?.failed_frames} ${job.value?.status} ${job.value?.attempts} ${job.value?.current}`, key);
  return useQuery({
    queryKey: computed(key),
    queryFn: ({ signal }) => allFrames(job.value?.id ?? "", signal),
    enabled: computed(() => job.value !== undefined),
    // Beside what the stream tells, should it tell less than we think.
    refetchInterval: () => (job.value?.status === "running" ? 5_000 : false),
  });
}

export function useFiles(job: Ref<Job | undefined>) {
  const key = (): readonly unknown[] => ["files", job.value?.id];
  freshWith(() => `${job.value?.file_count} ${job.value?.status}`, key);
  return useQuery({
    queryKey: computed(key),
    queryFn: ({ signal }) => dataOf(api.GET("/api/jobs/{job_id}/files", { params: { path: { job_id: job.value?.id ?? "" } }, signal })),
    enabled: computed(() => job.value !== undefined),
  });
}

export function useExplanation(job: Ref<Job | undefined>) {
  const key = (): readonly unknown[] => ["explain", job.value?.id];
  freshWith(() => `${job.value?.status} ${job.value?.reason}`, key);
  return useQuery({
    queryKey: computed(key),
    queryFn: ({ signal }) => dataOf(api.GET("/api/jobs/{job_id}/explain", { params: { path: { job_id: job.value?.id ?? "" } }, signal })),
    enabled: computed(() => job.value !== undefined),
  });
}
