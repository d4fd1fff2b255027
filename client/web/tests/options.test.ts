import { describe, expect, it } from "vitest";
import { argsOf, faultOf, givenOf, groupsOf } from "@/submit/options";

const SCHEMA = {
  "x-groups": ["Sampling", "Picture"],
  $defs: {
    Crop: { type: "object", title: "Crop", required: ["width"], properties: { x: { type: "integer", default: 0 }, width: { type: "integer", minimum: 2 } } },
  },
  properties: {
    crop: { anyOf: [{ $ref: "#/$defs/Crop" }, { type: "null" }], default: null, "x-group": "Picture" },
    samples: { anyOf: [{ type: "integer", minimum: 1, maximum: 9 }, { type: "null" }], default: null, title: "Samples", "x-group": "Sampling" },
    device: { enum: ["AUTO", "CPU"], type: "string", default: "AUTO", "x-group": "Sampling" },
    preset: { enum: ["web", null], type: ["string", "null"], "x-group": "Picture" },
    denoise: { anyOf: [{ type: "boolean" }, { type: "null" }], "x-group": "Sampling" },
    scale: { type: "number", exclusiveMinimum: 0, "x-group": "Picture" },
    camera: { anyOf: [{ type: "string", maxLength: 63 }, { type: "null" }] },
  },
};
const WORDS = { number: "number", integer: "integer", between: (low: number | null, high: number | null) => `${low}..${high}` };
const groups = groupsOf(SCHEMA);
const option = (name: string) => {
  const found = groups.flatMap((group) => group.options).find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe("the form of a schema", () => {
  it("has the groups in their order, with the options that belong there", () => {
    expect(groups.map((group) => [group.name, group.options.map((one) => one.name)])).toEqual([
      ["Sampling", ["samples", "device", "denoise"]],
      ["Picture", ["crop", "preset", "scale"]],
    ]);
  });

  it("knows what each option is", () => {
    expect(option("samples")).toMatchObject({ kind: "integer", low: 1, high: 9, title: "Samples", usual: "" });
    expect(option("device")).toMatchObject({ kind: "choice", choices: ["AUTO", "CPU"], usual: "AUTO" });
    expect(option("preset")).toMatchObject({ kind: "choice", choices: ["web"] });
    expect(option("denoise").kind).toBe("flag");
    expect(option("scale").kind).toBe("number");
    expect(option("crop")).toMatchObject({ kind: "parts", title: "Crop" });
    expect(option("crop").parts.map((part) => [part.name, part.required])).toEqual([["x", false], ["width", true]]);
  });

  it("sends what was given, in its type, and nothing else", () => {
    const given = { samples: "4", denoise: "false", device: "", "crop.width": "16", scale: " 0.5 ", unknown: "1" };
    const args = { samples: 4, denoise: false, crop: { width: 16 }, scale: 0.5 };
    expect(argsOf(groups, given)).toEqual(args);
    expect(argsOf(groups, givenOf(args))).toEqual(args);
    expect(argsOf(groups, {})).toEqual({});
  });

  it.each([
    ["samples", "4", ""],
    ["samples", "", ""],
    ["samples", "four", "number"],
    ["samples", "4.5", "integer"],
    ["samples", "10", "1..9"],
    ["scale", "-1", "0..null"],
    ["device", "anything", ""],
  ])("%s may be %s: %s", (name, text, fault) => expect(faultOf(option(name), text, WORDS)).toBe(fault));
});
