/** What was dropped on another screen, on its way to the submit screen. */
import type { Dropped } from "./dropped";

let waiting: Dropped | null = null;

export function leave(dropped: Dropped): void {
  waiting = dropped;
}

export function takeWaiting(): Dropped | null {
  const taken = waiting;
  waiting = null;
  return taken;
}
