import { createRouter, createWebHashHistory } from "vue-router";
import JobsScreen from "@/jobs/JobsScreen.vue";

/**
 * Behind the #, so that the service has one page to serve, and a page loaded again stays where it was.
 *
 * Reads the address at once: a login code must have been taken out of it before.
 */
export const newRouter = () => createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: "/", redirect: "/jobs" },
    { path: "/jobs", name: "jobs", component: JobsScreen },
    { path: "/jobs/:id/:tab?", name: "job", component: () => import("@/job/JobScreen.vue"), props: true },
    { path: "/submit", name: "submit", component: () => import("@/submit/SubmitScreen.vue") },
    { path: "/nodes", name: "nodes", component: () => import("@/screens/NodesScreen.vue") },
    { path: "/engines", name: "engines", component: () => import("@/screens/EnginesScreen.vue") },
    { path: "/start", name: "start", component: () => import("@/screens/StartScreen.vue") },
    { path: "/:rest(.*)*", name: "nowhere", component: () => import("@/screens/NowhereScreen.vue") },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});
