/** Short messages at the edge of the page. */
import { reactive } from "vue";
import { sentenceOf } from "@/api/client";
import { t } from "@/texts";

export interface Toast {
  id: number;
  text: string;
  kind: "good" | "bad";
  to?: string;
}

export const toasts = reactive<Toast[]>([]);
let count = 0;

export function tell(text: string, kind: Toast["kind"] = "good", to?: string): void {
  toasts.push({ id: ++count, text, kind, to });
  if (toasts.length > 4) toasts.shift();
}

export function tellError(error: unknown): void {
  tell(`${t.errors.title}: ${sentenceOf(error)}`, "bad");
}

export function untell(id: number): void {
  const at = toasts.findIndex((toast) => toast.id === id);
  if (at >= 0) toasts.splice(at, 1);
}
