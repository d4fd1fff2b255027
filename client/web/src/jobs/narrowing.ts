/** What of the jobs is looked at, and in which order: in the address, so that it can be kept, sent and come back to. */
import type { SortingState } from "@tanstack/vue-table";
import { computed, type Ref, ref, watch } from "vue";
import { useRoute, useRouter } from "vue-router";
import { GROUPS, type Group } from "./grouping";

const USUAL = "-created";
/** Columns of which one wants to see the highest first. */
const HIGHEST_FIRST: ReadonlySet<string> = new Set(["created", "progress", "priority"]);

export interface Narrowing {
  search: Ref<string>;
  group: Ref<Group>;
  sorting: Ref<SortingState>;
  /** The column that is sorted by. Setting it sorts in the direction that is usual for it. */
  column: Ref<string>;
  /** Show all jobs again. */
  reset(): void;
}

function sortingOf(text: string): { id: string; desc: boolean } {
  return { id: text.replace(/^-/, ""), desc: text.startsWith("-") };
}

export function useNarrowing(): Narrowing {
  const route = useRoute();
  const router = useRouter();
  const search = ref(String(route.query.q ?? ""));
  const group = ref<Group>(GROUPS.find((one) => one === route.query.show) ?? "all");
  const sorting = ref<SortingState>([sortingOf(String(route.query.sort ?? USUAL))]);
  /** How many of our own changes of the address are under way: what was typed meanwhile must stay. */
  let writing = 0;

  watch([search, group, sorting], async () => {
    const [by] = sorting.value;
    const sort = by === undefined ? undefined : `${by.desc ? "-" : ""}${by.id}`;
    writing++;
    await router.replace({
      query: {
        ...(search.value ? { q: search.value } : {}),
        ...(group.value === "all" ? {} : { show: group.value }),
        ...(sort === USUAL ? {} : { sort }),
      },
    });
    writing--;
  });

  // A link, or the browser's own way back.
  watch(
    () => route.query,
    (query) => {
      if (writing > 0 || route.name !== "jobs") return;
      const sort = sortingOf(String(query.sort ?? USUAL));
      search.value = String(query.q ?? "");
      group.value = GROUPS.find((one) => one === query.show) ?? "all";
      if (sorting.value[0]?.id !== sort.id || sorting.value[0]?.desc !== sort.desc) sorting.value = [sort];
    },
  );

  return {
    search,
    group,
    sorting,
    column: computed({
      get: () => sorting.value[0]?.id ?? "created",
      set: (id) => (sorting.value = [{ id, desc: HIGHEST_FIRST.has(id) }]),
    }),
    reset() {
      search.value = "";
      group.value = "all";
    },
  };
}
