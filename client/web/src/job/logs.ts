/** A log that grows: its last part at once, then what comes, as lines with a level. */
import { type Ref, onBeforeUnmount, ref, shallowRef, watch } from "vue";
import { problemOf, sentenceOf } from "@/api/client";

export type Level = "error" | "warning" | "service" | "plain";

export interface Line {
  at: number;
  text: string;
  level: Level;
}

/** Bytes of a log that are shown; a page that keeps more is slow and nobody reads it. */
export const SHOWN = 2 * 1024 * 1024;
const MOST_LINES = 40_000;

const ERROR = /\b(error|fatal|traceback|exception|segmentation fault|out of memory|failed|cannot|could not)\b/i;
const WARNING = /\b(warn(ing)?|deprecated|missing|not found)\b/i;
const SERVICE = /^\[zordon \d/;
const STARTED = "started a session with the command above";

export function levelOf(text: string): Level {
  if (SERVICE.test(text)) return ERROR.test(text) ? "error" : "service";
  if (ERROR.test(text)) return "error";
  return WARNING.test(text) ? "warning" : "plain";
}

/** The command lines in a log: each is the line before the one that says so. */
export function commandsOf(lines: readonly Line[]): string[] {
  return lines.flatMap(({ text }, at) => (text.includes(STARTED) && at > 0 ? [lines[at - 1]?.text ?? ""] : []));
}

/** Lines out of pieces that end anywhere. */
export class LineReader {
  #rest = "";
  #count = 0;

  take(piece: string): Line[] {
    const parts = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = parts.pop() ?? "";
    return parts.map((text) => this.#line(text));
  }

  /** What came without an end of line. */
  end(): Line[] {
    const rest = this.#rest;
    this.#rest = "";
    return rest === "" ? [] : [this.#line(rest)];
  }

  #line(text: string): Line {
    return { at: this.#count++, text, level: levelOf(text) };
  }
}

export function useLog(id: Ref<string>, active: Ref<boolean>) {
  const lines = shallowRef<Line[]>([]);
  const cut = ref(false);
  const trouble = ref("");
  let stop = new AbortController();

  async function read(job: string, signal: AbortSignal): Promise<void> {
    const reader = new LineReader();
    const take = (more: Line[]): void => {
      if (more.length > 0) lines.value = [...lines.value, ...more].slice(-MOST_LINES);
    };
    const path = `/api/jobs/${job}/logs`;
    const first = await fetch(path, { headers: { Range: `bytes=-${SHOWN}` }, signal, cache: "no-store" });
    if (!first.ok && first.status !== 416) throw await problemOf(first);
    let offset = 0;
    if (first.ok) {
      const range = /bytes (\d+)-(\d+)/.exec(first.headers.get("content-range") ?? "");
      const body = await first.arrayBuffer();
      offset = range === null ? body.byteLength : Number(range[2]) + 1;
      cut.value = range !== null && Number(range[1]) > 0;
      let text = new TextDecoder().decode(body);
      // The first line is a part of one.
      if (cut.value) text = text.slice(text.indexOf("\n") + 1);
      take(reader.take(text));
    }
    const response = await fetch(`${path}?follow=true&offset=${offset}`, { signal, cache: "no-store" });
    if (!response.ok || response.body === null) throw await problemOf(response);
    const decoder = new TextDecoder();
    const pieces = response.body.getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) break;
      take(reader.take(decoder.decode(value, { stream: true })));
    }
    take(reader.end());
  }

  function begin(): void {
    stop.abort();
    stop = new AbortController();
    lines.value = [];
    trouble.value = "";
    cut.value = false;
    if (!active.value) return;
    const { signal } = stop;
    read(id.value, signal).catch((error: unknown) => {
      if (!signal.aborted) trouble.value = sentenceOf(error);
    });
  }

  watch([id, active], begin, { immediate: true });
  onBeforeUnmount(() => stop.abort());
  return { lines, cut, trouble, again: begin };
}
