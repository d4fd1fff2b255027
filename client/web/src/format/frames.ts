/** Frame sets in the field's notation: `1-10,20,30-40x2`. The service normalises them; here they are only read. */

export interface Run {
  first: number;
  last: number;
  step: number;
}

const PART = /^(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?$/;

/** The runs of a frame set, in its order. Parts that are no frames are left out. */
export function runsOf(frames: string): Run[] {
  const runs: Run[] = [];
  for (const part of frames.split(",")) {
    const match = PART.exec(part.trim());
    if (match?.[1] === undefined) continue;
    const first = Number(match[1]);
    runs.push({ first, last: match[2] === undefined ? first : Number(match[2]), step: Number(match[3] ?? 1) || 1 });
  }
  return runs;
}

export function countOf(frames: string): number {
  return runsOf(frames).reduce((sum, { first, last, step }) => sum + Math.floor(Math.abs(last - first) / step) + 1, 0);
}

/** Every frame, in order; not more than `most`. */
export function framesOf(frames: string, most = Number.POSITIVE_INFINITY): number[] {
  const all: number[] = [];
  for (const { first, last, step } of runsOf(frames)) {
    const by = last < first ? -step : step;
    for (let frame = first; by > 0 ? frame <= last : frame >= last; frame += by) {
      if (all.length >= most) return all;
      all.push(frame);
    }
  }
  return all;
}

/** Where the frames of one set lie among those of another: pieces of 0..1, ready to be drawn as a strip. */
export function piecesOf(part: string, first: number, last: number): { at: number; size: number }[] {
  const length = last - first + 1;
  if (length <= 0) return [];
  const pieces: { at: number; size: number }[] = [];
  for (const run of runsOf(part)) {
    const low = Math.min(run.first, run.last);
    const high = Math.max(run.first, run.last);
    // Drawn through the gaps of a step: cells thinner than a pixel say nothing.
    const until = Math.min(high + run.step, last + 1);
    pieces.push({ at: (low - first) / length, size: Math.max(until - low, 0) / length });
  }
  return pieces;
}

/** A frame set of these frames, such as `1-3,7`. */
export function setOf(frames: readonly number[]): string {
  const sorted = [...new Set(frames)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (end + 1 < sorted.length && sorted[end + 1] === (sorted[end] as number) + 1) end++;
    parts.push(end === at ? `${sorted[at]}` : `${sorted[at]}-${sorted[end]}`);
    at = end + 1;
  }
  return parts.join(",");
}
