/** Which frames there are, and how each of them is. Pure. */
import { framesOf } from "@/format/frames";
import type { Frames, FrameState } from "./data";

export interface Cell {
  frame: number;
  state: FrameState;
  node: string;
}

/** One cell a frame, in the order of the job. */
export function cellsOf(told: Frames): Cell[] {
  const states = new Map<number, { state: FrameState; node: string }>();
  for (const run of told.running) for (const frame of framesOf(run.frames)) states.set(frame, { state: "running", node: run.node });
  for (const frame of framesOf(told.failed)) states.set(frame, { state: "failed", node: "" });
  for (const frame of framesOf(told.done)) states.set(frame, { state: "done", node: "" });
  for (const { frame, node } of told.times) {
    const known = states.get(frame);
    if (known?.state === "done") known.node = node;
  }
  return framesOf(told.frames).map((frame) => ({ frame, state: "waiting" as const, node: "", ...states.get(frame) }));
}

/** Where an arrow key leads in a grid of so many columns; null: it is no key of ours. */
export function stepIn(key: string, at: number, count: number, columns: number): number | null {
  const to: Record<string, number> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    Home: 0,
    End: count - 1,
    PageUp: at - columns * 5,
    PageDown: at + columns * 5,
  };
  const next = to[key];
  if (next === undefined) return null;
  if (next < 0 || next >= count) return key.startsWith("Page") ? Math.max(0, Math.min(count - 1, next)) : at;
  return next;
}

export function medianOf(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
