/** The jobs as the rows of a table: those that are looked at, in their order. */
import { getCoreRowModel, getFilteredRowModel, getSortedRowModel, useVueTable } from "@tanstack/vue-table";
import { computed } from "vue";
import type { Job } from "@/api/client";
import { live } from "@/live/jobs";
import { columns } from "./columns";
import { countsOf, fits, type Group, groupOf, isTop, wordsOf } from "./grouping";
import type { Narrowing } from "./narrowing";

export function useJobTable({ search, group, sorting }: Narrowing) {
  const tops = computed(() => live.list.value.filter(isTop));
  const words = computed(() => wordsOf(search.value));
  const narrowed = computed(() => ({ group: group.value, words: words.value }));

  const table = useVueTable<Job>({
    get data() {
      return tops.value;
    },
    columns,
    getRowId: (job) => job.id,
    state: {
      get sorting() {
        return sorting.value;
      },
      get globalFilter() {
        return narrowed.value;
      },
    },
    onSortingChange: (next) => (sorting.value = typeof next === "function" ? next(sorting.value) : next),
    globalFilterFn: (row, _column, wanted: { group: Group; words: string[] }) =>
      (wanted.group === "all" || groupOf(row.original) === wanted.group) && fits(row.original, wanted.words),
    getColumnCanGlobalFilter: (column) => column.id === "name",
    enableSortingRemoval: false,
    enableMultiSort: false,
    getCoreRowModel: getCoreRowModel(),
    getFilteredRowModel: getFilteredRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });

  return {
    /** How many jobs there are, whatever is looked at. */
    all: computed(() => tops.value.length),
    counts: computed(() => countsOf(tops.value)),
    headers: computed(() => table.getFlatHeaders()),
    jobs: computed(() => table.getRowModel().rows.map((row) => row.original)),
  };
}
