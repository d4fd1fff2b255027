import { describe, expect, it } from "vitest";
import { commandsOf, levelOf, LineReader } from "@/job/logs";

describe("a log", () => {
  it("is lines, wherever the pieces end", () => {
    const reader = new LineReader();
    const lines = [...reader.take("one\ntw"), ...reader.take("o\r"), ...reader.take("\nthree\rfour"), ...reader.end()];
    expect(lines.map((line) => line.text)).toEqual(["one", "two", "three", "four"]);
    expect(lines.map((line) => line.at)).toEqual([0, 1, 2, 3]);
    expect(reader.end()).toEqual([]);
  });

  it.each([
    ["Error: Python: Traceback (most recent call last):", "error"],
    ["[warning] deprecated pixel format used", "warning"],
    ["[zordon 2026-11-25 11:44:44] attempt x-1 started a session with the command above", "service"],
    ["[zordon 2026-11-25 11:44:44] the job ended as error: it failed", "error"],
    ["Fra:1 Mem:15.82M | Sample 1/5", "plain"],
    ["Mirrored terrors", "plain"],
  ])("%s is %s", (text, level) => expect(levelOf(text)).toBe(level));

  it("has the command line before the line that says so", () => {
    const lines = new LineReader().take("blender -b a\n[zordon 1] attempt 1 started a session with the command above\nx\nblender -b b\n[zordon 2] attempt 2 started a session with the command above\n");
    expect(commandsOf(lines)).toEqual(["blender -b a", "blender -b b"]);
    expect(commandsOf([])).toEqual([]);
  });
});
