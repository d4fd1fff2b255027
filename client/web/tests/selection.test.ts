import { describe, expect, it } from "vitest";
import { Selection } from "@/jobs/selection";

const SHOWN = ["a", "b", "c", "d", "e"];
const chosen = (selection: Selection): string => [...selection.ids.value].sort().join("");

describe("selecting rows", () => {
  it("extends from the last one, in both directions, and draws the range anew", () => {
    const selection = new Selection();
    selection.toggle("c");
    selection.extend("e", SHOWN);
    expect(chosen(selection)).toBe("cde");
    selection.extend("a", SHOWN);
    expect(chosen(selection)).toBe("abc");
  });

  it("keeps what was selected before the range", () => {
    const selection = new Selection();
    selection.toggle("a");
    selection.toggle("d");
    selection.extend("e", SHOWN);
    expect(chosen(selection)).toBe("ade");
  });

  it("extends like a click where nothing was selected before", () => {
    const selection = new Selection();
    selection.extend("b", SHOWN);
    expect(chosen(selection)).toBe("b");
  });

  it("does not extend to or from rows that are not shown", () => {
    const selection = new Selection();
    selection.toggle("gone");
    selection.extend("b", SHOWN);
    expect(chosen(selection)).toBe("bgone");
    selection.extend("nowhere", SHOWN);
    expect(chosen(selection)).toBe("bgone");
  });

  it("forgets what was deleted", () => {
    const selection = new Selection();
    selection.all(SHOWN);
    selection.keep((id) => id < "c");
    expect(chosen(selection)).toBe("ab");
    selection.clear();
    expect(selection.size.value).toBe(0);
  });
});
