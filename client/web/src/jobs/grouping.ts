/** What the job list can be narrowed to, and what a search looks at. Pure. */
import type { Job } from "@/api/client";

export const GROUPS = ["all", "active", "waiting", "completed", "error", "cancelled"] as const;
export type Group = (typeof GROUPS)[number];

const OF_STATUS: Record<string, Group> = {
  running: "active",
  waiting_for_subjobs: "active",
  configuring: "waiting",
  scheduled: "waiting",
  not_started: "waiting",
  completed: "completed",
  error: "error",
  cancelled: "cancelled",
};

export const groupOf = (job: Job): Group => OF_STATUS[job.status] ?? "all";

/** How many jobs there are of each. */
export function countsOf(jobs: readonly Job[]): Record<Group, number> {
  const counts = Object.fromEntries(GROUPS.map((group) => [group, 0])) as Record<Group, number>;
  for (const job of jobs) {
    counts.all++;
    const group = groupOf(job);
    if (group !== "all") counts[group]++;
  }
  return counts;
}

/** Every word of a search must be somewhere in what names a job. */
export function fits(job: Job, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = `${job.name}\n${job.project ?? ""}\n${job.engine} ${job.engine_version}\n${job.hostname}\n${nodesOf(job).join("\n")}\n${job.id}\n${job.notes}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

export const wordsOf = (search: string): string[] => search.toLowerCase().split(/\s+/).filter(Boolean);

/** The nodes at work on a job; the service names them, else it is the one that keeps the job. */
export function nodesOf(job: Job): string[] {
  const named = (job as { nodes?: string[] }).nodes;
  if (named !== undefined && named.length > 0) return named;
  return job.status === "running" && job.hostname ? [job.hostname] : [];
}

/** Subjobs are shown with their parent, not beside it. */
export const isTop = (job: Job): boolean => !job.parent;
