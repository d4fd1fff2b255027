/**
 * Who may keep a connection open: browsers allow six to a host over all tabs, and each stream takes one. A tab that
 * nobody sees lets go of its own after a while, but for one of them if jobs that end are to be told; when it is seen
 * again, it asks for what it has missed.
 */
import { session } from "@/api/session";
import { wanted } from "@/notices";
import { live } from "./jobs";

const HIDDEN_FOR = 60_000;

export function keepWatch(): () => void {
  let timer = 0;
  let release: (() => void) | null = null;

  function seen(): void {
    clearTimeout(timer);
    release?.();
    release = null;
    if (!document.hidden) {
      if (session.who.value !== null) void live.start();
      return;
    }
    timer = window.setTimeout(async () => {
      if (!wanted.value || !("locks" in navigator)) {
        live.stop();
        return;
      }
      void navigator.locks.request("zordon.hidden", { ifAvailable: true }, (lock) => {
        if (lock === null) {
          live.stop();
          return undefined;
        }
        return new Promise<void>((resolve) => (release = resolve));
      });
    }, HIDDEN_FOR);
  }

  document.addEventListener("visibilitychange", seen);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(timer);
    release?.();
  };
}
