/** Tells of jobs that have ended, outside of the page, where the browser and the person allow it. */
import { ref } from "vue";
import { live } from "@/live/jobs";
import { t } from "@/texts";

const KEY = "zordon.notices";

/** Browsers offer this on this machine and over HTTPS only. */
export const possible = "Notification" in globalThis && globalThis.isSecureContext;
export const permission = ref(possible ? Notification.permission : "denied");
export const wanted = ref(possible && localStorage.getItem(KEY) === "yes" && permission.value === "granted");

export async function want(on: boolean): Promise<void> {
  if (on && permission.value === "default") permission.value = await Notification.requestPermission();
  wanted.value = on && permission.value === "granted";
  localStorage.setItem(KEY, wanted.value ? "yes" : "no");
}

live.onEnded((job) => {
  // A subjob's end is news for its parent only.
  if (!wanted.value || job.parent || !document.hidden) return;
  const notice = new Notification(t.notify[job.status]?.(job.name) ?? job.name, {
    body: job.reason,
    icon: `/api/jobs/${job.id}/thumbnail`,
    tag: job.id,
  });
  notice.onclick = () => {
    window.focus();
    location.hash = `#/jobs/${job.id}`;
    notice.close();
  };
});
