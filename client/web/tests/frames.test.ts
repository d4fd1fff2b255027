import { describe, expect, it } from "vitest";
import { countOf, framesOf, piecesOf, runsOf, setOf } from "@/format/frames";

describe("frame sets", () => {
  it.each([
    ["1-5", [1, 2, 3, 4, 5]],
    ["1-9x4,20", [1, 5, 9, 20]],
    ["-3--1", [-3, -2, -1]],
    ["5-1x2", [5, 3, 1]],
    ["", []],
  ])("%s has its frames in order", (frames, all) => {
    expect(framesOf(frames)).toEqual(all);
    expect(countOf(frames)).toBe(all.length);
  });

  it("leaves out what is no frame", () => {
    expect(runsOf("1, x, 3-")).toEqual([{ first: 1, last: 1, step: 1 }]);
  });

  it("stops at the most that is asked for", () => {
    expect(framesOf("1-1000000", 3)).toEqual([1, 2, 3]);
  });

  it("is written shortly", () => {
    expect(setOf([3, 1, 2, 7, 7])).toBe("1-3,7");
  });

  it("lies where it is in the range", () => {
    expect(piecesOf("1-5,10", 1, 10)).toEqual([
      { at: 0, size: 0.5 },
      { at: 0.9, size: 0.1 },
    ]);
    expect(piecesOf("1-9x2", 1, 10)).toEqual([{ at: 0, size: 1 }]);
    expect(piecesOf("", 1, 10)).toEqual([]);
  });
});
