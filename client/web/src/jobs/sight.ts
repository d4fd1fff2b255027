/** Of ten thousand rows those in sight, a few around them, and the one that the keyboard is at. */
import { defaultRangeExtractor, useVirtualizer } from "@tanstack/vue-virtual";
import { computed, onBeforeUnmount, onMounted, type Ref, ref } from "vue";
import type { Job } from "@/api/client";
import { Slots } from "./slots";

/** Heights of a row in pixels: in one line, and in two where the screen is narrow. */
const HEIGHT = 57;
const HEIGHT_NARROW = 92;
const NARROW = "(max-width: 720px)";
const OVERSCAN = 8;

export interface Seen {
  /** Names the element that shows it. */
  slot: number;
  job: Job;
  index: number;
  /** Pixels from the top of the whole list. */
  top: number;
  height: number;
}

/** @param pinned the index of the row that is there wherever the list is scrolled to, so that it keeps the focus; or -1. */
export function useInSight(jobs: Ref<readonly Job[]>, pinned: Ref<number>, scroller: Ref<HTMLElement | null>) {
  const narrow = matchMedia(NARROW);
  const rowHeight = ref(narrow.matches ? HEIGHT_NARROW : HEIGHT);
  const onNarrow = (event: MediaQueryListEvent): void => {
    rowHeight.value = event.matches ? HEIGHT_NARROW : HEIGHT;
    virtual.value.measure();
  };
  onMounted(() => narrow.addEventListener("change", onNarrow));
  onBeforeUnmount(() => narrow.removeEventListener("change", onNarrow));

  // As numbers: jobs that change are no reason to measure anew.
  const count = computed(() => jobs.value.length);
  const getScrollElement = (): HTMLElement | null => scroller.value;
  const estimateSize = (): number => rowHeight.value;
  const virtual = useVirtualizer(
    computed(() => {
      const kept = pinned.value;
      return {
        count: count.value,
        getScrollElement,
        estimateSize,
        overscan: OVERSCAN,
        rangeExtractor(range: Parameters<typeof defaultRangeExtractor>[0]): number[] {
          const indexes = defaultRangeExtractor(range);
          if (kept < 0 || kept >= range.count) return indexes;
          if (kept < (indexes[0] ?? 0)) indexes.unshift(kept);
          else if (kept > (indexes.at(-1) ?? 0)) indexes.push(kept);
          return indexes;
        },
      };
    }),
  );

  const slots = new Slots();
  const seen = computed<Seen[]>(() => {
    const there = virtual.value.getVirtualItems().flatMap(({ index, start, size }) => {
      const job = jobs.value[index];
      return job === undefined ? [] : [{ job, index, top: start, height: size }];
    });
    const given = slots.give(there.map(({ job }) => job.id));
    return there.map((one, at) => ({ ...one, slot: given[at] as number }));
  });

  return {
    seen,
    /** Pixels of the whole list. */
    height: computed(() => virtual.value.getTotalSize()),
    /** Rows that fit into the window. */
    page: (): number => Math.max(1, Math.floor((scroller.value?.clientHeight ?? 600) / rowHeight.value) - 1),
    scrollTo: (index: number): void => virtual.value.scrollToIndex(index),
  };
}
