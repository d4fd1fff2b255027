import { en, type Texts } from "./en";

/** The sentences of the language that is shown. */
export const t: Texts = en;
