/** Keyboard and mouse in the rows of the list: where the keyboard is at, what is selected, what is opened. */
import { computed, nextTick, type Ref, shallowRef, watch } from "vue";
import { useRouter } from "vue-router";
import type { Selection } from "./selection";

/** The row that the keyboard is at; an id, because rows move. */
export function useActive(ids: Ref<readonly string[]>) {
  const id = shallowRef<string | null>(null);
  const index = computed(() => (id.value === null ? -1 : ids.value.indexOf(id.value)));
  return {
    id,
    index,
    /** The row that Tab leads to: that one, or else the first. */
    stop: computed(() => (index.value >= 0 ? index.value : Math.min(0, ids.value.length - 1))),
  };
}

export interface Rows {
  ids: Ref<readonly string[]>;
  active: ReturnType<typeof useActive>;
  selection: Selection;
  scroller: Ref<HTMLElement | null>;
  /** Changes with the rows that are in the page. */
  seen: Ref<unknown>;
  scrollTo(index: number): void;
  /** Rows that fit into the window. */
  page(): number;
}

const isInside = (target: EventTarget | null, what: string): boolean => target instanceof Element && target.closest(what) !== null;

export function useRowKeys({ ids, active, selection, scroller, seen, scrollTo, page }: Rows) {
  const router = useRouter();

  async function focusActive(): Promise<void> {
    await nextTick();
    scroller.value?.querySelector<HTMLElement>(`[data-id="${active.id.value}"]`)?.focus({ preventScroll: true });
  }

  // An element that is moved in the page loses the focus, also if it still shows the same row.
  watch(seen, async () => {
    if (!isInside(document.activeElement, ".scroller [data-id]")) return;
    await nextTick();
    if (document.activeElement === document.body) await focusActive();
  });

  async function goTo(index: number, extend: boolean): Promise<void> {
    const at = Math.max(0, Math.min(ids.value.length - 1, index));
    const id = ids.value[at];
    if (id === undefined) return;
    if (extend && active.id.value !== null && selection.size.value === 0) selection.only(active.id.value);
    active.id.value = id;
    if (extend) selection.extend(id, ids.value);
    scrollTo(at);
    await focusActive();
  }

  function onKey(event: KeyboardEvent): void {
    if (event.key === "Enter" && isInside(event.target, "a, input")) return;
    const at = active.index.value;
    const id = active.id.value;
    const steps: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page(),
      PageUp: at - page(),
      Home: 0,
      End: ids.value.length - 1,
    };
    const to = steps[event.key];
    if (to !== undefined) void goTo(to, event.shiftKey);
    else if (event.key === " " && id !== null) selection.toggle(id);
    else if (event.key === "Enter" && id !== null) void router.push(`/jobs/${id}`);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) selection.all(ids.value);
    else if (event.key === "Escape") selection.clear();
    else return;
    event.preventDefault();
  }

  function onClick(event: MouseEvent, id: string): void {
    active.id.value = id;
    if (event.shiftKey) selection.extend(id, ids.value);
    else if (event.ctrlKey || event.metaKey) selection.toggle(id);
    else if (!isInside(event.target, "a, input, label")) void router.push(`/jobs/${id}`);
  }

  function onToggle(event: MouseEvent, id: string): void {
    active.id.value = id;
    if (event.shiftKey) selection.extend(id, ids.value);
    else selection.toggle(id);
  }

  return { onKey, onClick, onToggle };
}
