/** The time, as something that is watched: ages grow while one looks at them. */
import { shallowRef } from "vue";

export const now = shallowRef(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
