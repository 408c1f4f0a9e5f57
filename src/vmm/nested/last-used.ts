// A few things of which the one used last is mostly the one that is wanted next: address spaces of a guest's guests.

/** What is kept: at most so many, each made once and made ready for another use when it is the oldest. */
export class LastUsed<Kept> {
  /** The last one used in front. */
  private readonly kept: Kept[] = [];

  constructor(
    private readonly limit: number,
    private readonly make: () => Kept,
  ) {}

  /** The first one that is it, or the oldest made into it. */
  use(isIt: (each: Kept) => boolean, become: (each: Kept) => void): Kept {
    const { kept } = this;
    const [front] = kept;
    if (front !== undefined && isIt(front)) return front;
    const found = kept.findIndex(isIt);
    const old = found >= 0 ? kept.splice(found, 1)[0] : kept.length === this.limit ? kept.pop() : undefined;
    const used = old ?? this.make();
    if (found < 0) become(used);
    kept.unshift(used);
    return used;
  }

  [Symbol.iterator](): Iterator<Kept> {
    return this.kept.values();
  }
}
