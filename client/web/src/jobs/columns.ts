/** The columns of the job list, for TanStack Table: how they sort. How they look is in JobRow.vue. */
import { createColumnHelper } from "@tanstack/vue-table";
import type { Job } from "@/api/client";
import { t } from "@/texts";
import { nodesOf } from "./grouping";

const column = createColumnHelper<Job>();
const ORDER = ["running", "waiting_for_subjobs", "configuring", "not_started", "scheduled", "error", "cancelled", "completed"];

export const columns = [
  column.accessor("name", { id: "name", header: t.jobs.columns.name, sortingFn: "alphanumeric" }),
  column.accessor((job) => ORDER.indexOf(job.status), { id: "state", header: t.jobs.columns.state }),
  column.accessor((job) => job.percent_complete ?? 0, { id: "progress", header: t.jobs.columns.progress, sortDescFirst: true }),
  column.accessor((job) => job.eta_seconds ?? undefined, { id: "eta", header: t.jobs.columns.eta, sortUndefined: "last" }),
  column.accessor((job) => nodesOf(job).join(" ") || undefined, { id: "nodes", header: t.jobs.columns.nodes, sortUndefined: "last" }),
  column.accessor((job) => job.priority ?? 50, { id: "priority", header: t.jobs.columns.priority, sortDescFirst: true }),
  // As text: ISO times in UTC sort as they are, and parsing ten thousand dates costs more than sorting them.
  column.accessor("date_created", { id: "created", header: t.jobs.columns.created, sortingFn: "basic", sortDescFirst: true }),
];
