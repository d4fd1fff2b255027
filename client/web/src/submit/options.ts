/** The JSON Schema of an engine's options as a form: what each option is, and what was given as `args`. Pure. */

type Schema = { [key: string]: unknown };

export type Kind = "choice" | "flag" | "integer" | "number" | "text" | "parts";

export interface Option {
  name: string;
  title: string;
  description: string;
  group: string;
  kind: Kind;
  choices: string[];
  low: number | null;
  high: number | null;
  longest: number | null;
  /** What it is if nothing is given, as text; empty: as in the project. */
  usual: string;
  required: boolean;
  /** Of an option that has parts. */
  parts: Option[];
}

export interface Group {
  name: string;
  options: Option[];
}

const isSchema = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Every option, in the groups and the order of the schema. */
export function groupsOf(schema: Schema): Group[] {
  const options = optionsOf(schema, schema);
  const names = [...new Set([...listOf(schema["x-groups"]).map(textOf), ...options.map(({ group }) => group)])].filter(Boolean);
  return names.map((name) => ({ name, options: options.filter(({ group }) => group === name) })).filter(({ options: some }) => some.length > 0);
}

function optionsOf(schema: Schema, whole: Schema): Option[] {
  const required = new Set(listOf(schema.required).map(textOf));
  const properties = isSchema(schema.properties) ? schema.properties : {};
  return Object.entries(properties).flatMap(([name, given]) => (isSchema(given) ? [optionOf(name, given, whole, required.has(name))] : []));
}

function optionOf(name: string, given: Schema, whole: Schema, required: boolean): Option {
  const place = placeOf(given, whole);
  const types = listOf(place.type).concat(place.type).map(textOf);
  const choices = listOf(place.enum).filter((value): value is string | number => value !== null && value !== undefined).map(String);
  const kind: Kind =
    choices.length > 0
      ? "choice"
      : types.includes("boolean")
        ? "flag"
        : types.includes("integer")
          ? "integer"
          : types.includes("number")
            ? "number"
            : types.includes("object")
              ? "parts"
              : "text";
  const usual = given.default;
  return {
    name,
    title: textOf(given.title) || textOf(place.title) || name,
    description: textOf(given.description) || textOf(place.description),
    group: textOf(given["x-group"]),
    kind,
    choices,
    low: numberOf(place.minimum) ?? numberOf(place.exclusiveMinimum),
    high: numberOf(place.maximum),
    longest: numberOf(place.maxLength),
    usual: usual === null || usual === undefined || typeof usual === "object" ? "" : String(usual),
    required,
    parts: kind === "parts" ? optionsOf(place, whole) : [],
  };
}

/** The part of a schema that says what a value is: without null, without references. */
function placeOf(given: Schema, whole: Schema): Schema {
  const some = [...listOf(given.anyOf), ...listOf(given.oneOf), ...listOf(given.allOf)].filter(isSchema);
  const one = some.find((schema) => schema.type !== "null");
  if (one !== undefined) return placeOf(one, whole);
  const reference = textOf(given.$ref);
  if (reference !== "" && isSchema(whole.$defs)) {
    const target = whole.$defs[reference.slice(reference.lastIndexOf("/") + 1)];
    if (isSchema(target)) return target;
  }
  return given;
}

/** What the fields of a form hold: text, empty if nothing is given; parts by `option.part`. */
export type Given = Record<string, string>;

/** The `args` of a job, of what was given and nothing else. */
export function argsOf(groups: readonly Group[], given: Given): Record<string, unknown> {
  return valuesOf(groups.flatMap(({ options }) => options), given, "");
}

function valuesOf(options: readonly Option[], given: Given, before: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const option of options) {
    if (option.kind === "parts") {
      const parts = valuesOf(option.parts, given, `${option.name}.`);
      if (Object.keys(parts).length > 0) values[option.name] = parts;
      continue;
    }
    const text = (given[before + option.name] ?? "").trim();
    if (text === "") continue;
    if (option.kind === "flag") values[option.name] = text === "true";
    else if (option.kind === "integer" || option.kind === "number") values[option.name] = Number(text);
    else values[option.name] = text;
  }
  return values;
}

/** What was given, as the fields of a form hold it: for presets that were kept. */
export function givenOf(args: Record<string, unknown>, before = ""): Given {
  const given: Given = {};
  for (const [name, value] of Object.entries(args)) {
    if (isSchema(value)) Object.assign(given, givenOf(value, `${name}.`));
    else if (value !== null && value !== undefined) given[before + name] = String(value);
  }
  return given;
}

/** Why a text cannot be the value of an option; empty if it can. */
export function faultOf(option: Option, text: string, words: { number: string; integer: string; between: (low: number | null, high: number | null) => string }): string {
  const value = text.trim();
  if (value === "" || (option.kind !== "integer" && option.kind !== "number")) return "";
  const number = Number(value);
  if (!Number.isFinite(number)) return words.number;
  if (option.kind === "integer" && !Number.isInteger(number)) return words.integer;
  if ((option.low !== null && number < option.low) || (option.high !== null && number > option.high)) return words.between(option.low, option.high);
  return "";
}
