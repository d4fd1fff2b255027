import { expect, it } from "vitest";
import type { Job } from "@/api/client";
import { countsOf, fits, groupOf, nodesOf, wordsOf } from "@/jobs/grouping";

const job = (more: Partial<Job>): Job => ({
  id: "id",
  name: "Shot 010",
  status: "running",
  reason: "",
  engine: "blender",
  engine_version: "4.5.3",
  frames: "1-10",
  start_frame: 1,
  end_frame: 10,
  total_frames: 10,
  date_created: "2026-01-01T00:00:00Z",
  hostname: "render-1",
  ...more,
});

it("counts every job once, in its group", () => {
  const jobs = [job({}), job({ status: "scheduled" }), job({ status: "configuring" }), job({ status: "error" })];
  expect(countsOf(jobs)).toEqual({ all: 4, active: 1, waiting: 2, completed: 0, error: 1, cancelled: 0 });
  expect(groupOf(job({ status: "waiting_for_subjobs" }))).toBe("active");
});

it("finds jobs by every word, wherever it stands", () => {
  expect(fits(job({}), wordsOf("shot RENDER-1"))).toBe(true);
  expect(fits(job({}), wordsOf("shot render-2"))).toBe(false);
  expect(fits(job({ notes: "for Ada" }), wordsOf("  ada "))).toBe(true);
  expect(fits(job({}), wordsOf(" "))).toBe(true);
});

it("names the nodes at work", () => {
  expect(nodesOf(job({ nodes: ["a", "b"] }))).toEqual(["a", "b"]);
  expect(nodesOf(job({}))).toEqual(["render-1"]);
  expect(nodesOf(job({ status: "completed" }))).toEqual([]);
});
