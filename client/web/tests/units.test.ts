import { expect, it } from "vitest";
import { bytes, duration, shortDuration } from "@/format/units";

it.each([
  [0, "0 s"],
  [2.34, "2.3 s"],
  [9.99, "10 s"],
  [61, "1 min 1 s"],
  [3600, "1 h"],
  [7260, "2 h 1 min"],
  [90_000, "1 d 1 h"],
  [Number.NaN, ""],
])("%s seconds are %s", (seconds, text) => expect(duration(seconds)).toBe(text));

it.each([
  [59, "59 s"],
  [125, "2 min"],
  [86_399, "23 h"],
])("%s seconds are %s in short", (seconds, text) => expect(shortDuration(seconds)).toBe(text));

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_500, "1.5 KB"],
  [271_000_000_000, "271 GB"],
  [999_700, "1 MB"],
])("%s bytes are %s", (count, text) => expect(bytes(count)).toBe(text));
