import { describe, expect, it } from "vitest";
import { cellsOf, medianOf, stepIn } from "@/job/cells";

describe("the frames of a job", () => {
  it("are each what the service says of them", () => {
    const cells = cellsOf({
      total: 6,
      frames: "1-6",
      done: "1,3",
      failed: "4",
      running: [{ frames: "5", attempt: "x", node: "render-2" }],
      times: [{ frame: 3, seconds: 2, node: "render-1" }],
      files: new Map(),
      video: null,
    });
    expect(cells.map((cell) => `${cell.frame} ${cell.state} ${cell.node}`.trim())).toEqual([
      "1 done",
      "2 waiting",
      "3 done render-1",
      "4 failed",
      "5 running render-2",
      "6 waiting",
    ]);
  });

  it("are walked through with the arrow keys", () => {
    expect(stepIn("ArrowDown", 1, 10, 4)).toBe(5);
    expect(stepIn("ArrowDown", 8, 10, 4)).toBe(8);
    expect(stepIn("ArrowLeft", 0, 10, 4)).toBe(0);
    expect(stepIn("End", 0, 10, 4)).toBe(9);
    expect(stepIn("PageDown", 3, 10, 4)).toBe(9);
    expect(stepIn("x", 0, 10, 4)).toBeNull();
  });

  it("have a median", () => {
    expect(medianOf([3, 1, 2])).toBe(2);
    expect(medianOf([4, 1])).toBe(2.5);
    expect(medianOf([])).toBeNaN();
  });
});
