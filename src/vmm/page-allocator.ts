// Pages for a VMM's own structures, from a range of physical memory that its guest cannot reach.

import { assert } from "../base/index.js";

export const pageBytes = 0x1000;

/** Hands out pages in order and never takes one back: a VMM lives as long as its guest. */
export class PageAllocator {
  private next: number;

  constructor(
    start: number,
    private readonly end: number,
  ) {
    assert(start % pageBytes === 0, "a VMM's memory begins on a page");
    this.next = start;
  }

  /** Physical address of `count` pages in a row; with a count of 0 the address of the next. */
  take(count = 1): number {
    const address = this.next;
    this.next += count * pageBytes;
    assert(this.next <= this.end, "the VMM's memory suffices for its structures");
    return address;
  }
}
