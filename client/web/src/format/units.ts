/** Times and sizes as a person reads them. */

const UNITS: readonly [number, string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** A length of time in two units at most: `4 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  if (seconds < 9.95) return `${trimmed(seconds)} s`;
  let rest = Math.round(seconds);
  const parts: string[] = [];
  for (const [size, name] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${name}`);
    else if (parts.length > 0) break;
    rest -= count * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

/** In one unit, for narrow places: `4 s`, `3 min`, `2 h`, `5 d`. */
export function shortDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  for (const [size, name] of UNITS) if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
  return "0 s";
}

/** Bytes in powers of 1000, as disks are sold. */
export function bytes(count: number): string {
  let value = count;
  for (const unit of ["B", "KB", "MB", "GB", "TB"]) {
    if (value < 999.5 || unit === "TB") return `${unit === "B" || value >= 99.5 ? Math.round(value) : trimmed(value)} ${unit}`;
    value /= 1000;
  }
  return "";
}

export function percent(value: number): string {
  return `${Math.floor(value)} %`;
}

// Kept: making one costs a hundred times what using it does, and a list that scrolls uses them in every row.
const COUNT = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MOMENT = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "short" });

/** A count with its thousands set apart: `10,000`. */
export function grouped(count: number): string {
  return COUNT.format(count);
}

export function clock(at: number): string {
  return CLOCK.format(at);
}

export function moment(at: string): string {
  return MOMENT.format(Date.parse(at));
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}
