/** Many rows selected with mouse, Shift and keyboard. Ids in the order in which they are shown come from outside. */
import { computed, shallowRef } from "vue";

export class Selection {
  readonly ids = shallowRef<ReadonlySet<string>>(new Set());
  readonly size = computed(() => this.ids.value.size);
  #anchor: string | null = null;
  /** What was selected before the range that Shift is drawing. */
  #before: ReadonlySet<string> = new Set();

  has(id: string): boolean {
    return this.ids.value.has(id);
  }

  toggle(id: string): void {
    const next = new Set(this.ids.value);
    if (!next.delete(id)) next.add(id);
    this.#set(next, id);
  }

  only(id: string): void {
    this.#set(new Set([id]), id);
  }

  /** From where the last selection was to `id`, beside what was selected before. */
  extend(id: string, shown: readonly string[]): void {
    const to = shown.indexOf(id);
    const from = this.#anchor === null ? to : shown.indexOf(this.#anchor);
    if (to < 0) return;
    if (from < 0) return this.toggle(id);
    const next = new Set(this.#before);
    for (let at = Math.min(from, to); at <= Math.max(from, to); at++) next.add(shown[at] as string);
    this.ids.value = next;
  }

  all(shown: readonly string[]): void {
    this.#set(new Set(shown), this.#anchor);
  }

  clear(): void {
    this.#set(new Set(), null);
  }

  /** Forget what is not there any more. */
  keep(there: (id: string) => boolean): void {
    const left = [...this.ids.value].filter(there);
    if (left.length !== this.ids.value.size) this.#set(new Set(left), this.#anchor);
  }

  #set(next: ReadonlySet<string>, anchor: string | null): void {
    this.ids.value = next;
    this.#before = next;
    this.#anchor = anchor;
  }
}
