/** What was dropped or chosen: one file, or a folder that is to become a zip. */
import { downloadZip, predictLength } from "client-zip";

export interface Entry {
  path: string;
  file: File;
}

export type Dropped = { kind: "file"; file: File } | { kind: "folder"; name: string; entries: Entry[] };

/** Files that no project needs, and that can be large: what Blender keeps of older savings, what systems leave behind. */
const NEEDLESS = /(^|\/)(\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(\/|$)|\.blend\d+$/i;

export async function droppedIn(transfer: DataTransfer): Promise<Dropped | null> {
  // To be asked for at once: the list is empty after the event.
  const roots = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const [root] = roots;
  if (root === undefined) return null;
  if (roots.length === 1 && root.isFile) return { kind: "file", file: await fileOf(root as FileSystemFileEntry) };
  const entries: Entry[] = [];
  for (const one of roots) await walk(one, entries);
  return { kind: "folder", name: roots.length === 1 ? root.name : "project", entries: needed(entries) };
}

/** What `<input type="file" webkitdirectory>` gives. */
export function chosenFolder(files: readonly File[]): Dropped | null {
  const [first] = files;
  if (first === undefined) return null;
  const entries = files.map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return { kind: "folder", name: first.webkitRelativePath.split("/")[0] || "project", entries: needed(entries) };
}

function needed(entries: readonly Entry[]): Entry[] {
  return entries.filter(({ path }) => !NEEDLESS.test(path));
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((resolve, reject) => entry.file(resolve, reject));

async function walk(entry: FileSystemEntry, into: Entry[]): Promise<void> {
  if (entry.isFile) {
    into.push({ path: entry.fullPath.replace(/^\//, ""), file: await fileOf(entry as FileSystemFileEntry) });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A browser gives a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await walk(one, into);
  }
}

const depthOf = (path: string): number => path.split("/").length;

/** The project files in a folder, in the order in which the service would choose: the nearest to the top first. */
export function projectsIn(entries: readonly Entry[]): string[] {
  return entries
    .map(({ path }) => path)
    .filter((path) => /\.blend$/i.test(path))
    .sort((a, b) => depthOf(a) - depthOf(b) || (a < b ? -1 : 1));
}

/** What goes into the zip if `main` is to be rendered: other projects that the service would choose before it stay out. */
export function packed(entries: readonly Entry[], main: string | null): Entry[] {
  const projects = projectsIn(entries);
  const before = new Set(main === null ? [] : projects.slice(0, Math.max(0, projects.indexOf(main))));
  return entries.filter(({ path }) => !before.has(path));
}

/** Zip a folder, stored: pictures and caches are compressed already. */
export async function zipOf(name: string, entries: readonly Entry[], told: (done: number, all: number) => void): Promise<File> {
  const inputs = entries.map(({ path, file }) => ({ name: path, input: file, lastModified: new Date(file.lastModified), size: file.size }));
  const all = Number(predictLength(inputs));
  let done = 0;
  const counting = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      done += piece.byteLength;
      told(done, all);
      controller.enqueue(piece);
    },
  });
  const stream = downloadZip(inputs).body?.pipeThrough(counting);
  const blob = await new Response(stream).blob();
  return new File([blob], `${name}.zip`, { type: "application/zip", lastModified: Math.max(0, ...entries.map(({ file }) => file.lastModified)) });
}
