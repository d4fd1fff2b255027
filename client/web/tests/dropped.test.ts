import { describe, expect, it } from "vitest";
import { chosenFolder, packed, projectsIn, zipOf } from "@/submit/dropped";

const file = (path: string, text = "x"): File => {
  const made = new File([text], path.slice(path.lastIndexOf("/") + 1), { lastModified: 86_400_000 });
  Object.defineProperty(made, "webkitRelativePath", { value: path });
  return made;
};
const FOLDER = chosenFolder(["shot/b.blend", "shot/a.blend", "shot/lib/c.blend", "shot/a.blend1", "shot/.DS_Store", "shot/tex/wood.png"].map((path) => file(path)));

describe("a folder that was chosen", () => {
  if (FOLDER?.kind !== "folder") throw new Error("it is no folder");
  const { entries, name } = FOLDER;

  it("has what a project needs", () => {
    expect(name).toBe("shot");
    expect(entries.map(({ path }) => path)).toEqual(["shot/b.blend", "shot/a.blend", "shot/lib/c.blend", "shot/tex/wood.png"]);
  });

  it("has its projects in the order of the service", () => {
    expect(projectsIn(entries)).toEqual(["shot/a.blend", "shot/b.blend", "shot/lib/c.blend"]);
  });

  it("leaves out what would be rendered instead", () => {
    expect(packed(entries, "shot/b.blend").map(({ path }) => path)).toEqual(["shot/b.blend", "shot/lib/c.blend", "shot/tex/wood.png"]);
    expect(packed(entries, "shot/a.blend")).toHaveLength(4);
    expect(packed(entries, null)).toHaveLength(4);
  });
});

describe("a zip of a folder", () => {
  it("is a zip, told about while it grows", async () => {
    const told: number[] = [];
    const zip = await zipOf("shot", [{ path: "shot/a.blend", file: file("shot/a.blend", "BLENDER") }], (done, all) => told.push(done / all));
    expect(zip.name).toBe("shot.zip");
    expect(told.at(-1)).toBe(1);
  });
});
