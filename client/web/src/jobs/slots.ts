/**
 * Which element shows which row. A row that leaves the window gives its element to one that comes in, which is a good
 * deal quicker than to make one; a row that stays keeps its own, with its picture and the keyboard's focus.
 */
export class Slots {
  #slots = new Map<string, number>();
  #made = 0;

  /** How many elements there have ever been. */
  get made(): number {
    return this.#made;
  }

  /** The slot of each of these rows, which take the place of those of the call before. */
  give(ids: readonly string[]): number[] {
    const stay = new Set(ids);
    // In the order in which they are in the page: then fewer are moved in it.
    const free: number[] = [];
    for (const [id, slot] of this.#slots) if (!stay.has(id)) free.push(slot);
    const before = this.#slots;
    this.#slots = new Map();
    let next = 0;
    return ids.map((id) => {
      const slot = before.get(id) ?? free[next++] ?? this.#made++;
      this.#slots.set(id, slot);
      return slot;
    });
  }
}
