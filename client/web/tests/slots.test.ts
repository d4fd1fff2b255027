import { expect, it } from "vitest";
import { Slots } from "@/jobs/slots";

const window = (from: number, count = 30): string[] => Array.from({ length: count }, (_, at) => `job ${from + at}`);

it("needs no more elements than fit into the window, however far one scrolls", () => {
  const slots = new Slots();
  for (let at = 0; at < 10_000; at += 7) slots.give(window(at));
  for (let at = 9_970; at > 0; at -= 430) slots.give(window(at));
  expect(slots.made).toBe(30);
});

it("lets a row that stays keep its element", () => {
  const slots = new Slots();
  const first = slots.give(window(100));
  const second = slots.give(window(110));
  expect(second.slice(0, 20)).toEqual(first.slice(10));
  // Those that came in have the elements of those that left, in their order.
  expect(second.slice(20)).toEqual(first.slice(0, 10));
});

it("moves no element where all rows are others", () => {
  const slots = new Slots();
  expect(slots.give(window(5_000))).toEqual(slots.give(window(0)));
});

it("never shows two rows in one element", () => {
  const slots = new Slots();
  for (const ids of [window(0, 10), ["job 3", ...window(50, 20)], window(40, 12), []]) {
    const given = slots.give(ids);
    expect(new Set(given).size).toBe(ids.length);
  }
});
