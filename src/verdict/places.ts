// From an address to the line of the plan that lies there, and to the name of the place.

import { hex } from "../base/index.js";
import type { EventPlan, PlannedLine } from "../program/index.js";

/** The lines of a plan by address. */
export class Places {
  private readonly sorted: readonly { readonly line: PlannedLine; readonly index: number }[];

  constructor(readonly plan: EventPlan) {
    this.sorted = plan.lines
      .map((line, index) => ({ line, index }))
      .sort((a, b) => (a.line.address < b.line.address ? -1 : a.line.address > b.line.address ? 1 : a.index - b.index));
  }

  /** Index of the line whose bytes hold the address. */
  lineAt(address: bigint): number | undefined {
    const found = this.before(address);
    return found && address < found.line.address + BigInt(found.line.lengthBytes) ? found.index : undefined;
  }

  /** The line whose bytes hold the address. */
  at(address: bigint): PlannedLine | undefined {
    const index = this.lineAt(address);
    return index === undefined ? undefined : this.plan.lines[index];
  }

  /** `label+0x0c` for an address in or just behind a line of the guest; the bare address elsewhere. */
  nameOf(guest: string, address: bigint): string {
    const found = this.before(address);
    if (!found || found.line.guest !== guest || address > found.line.address + BigInt(found.line.lengthBytes)) {
      return hex(address);
    }
    const match = /^(.*)\+0x([0-9a-f]+)$/.exec(found.line.place);
    if (!match || found.line.fromModule) return found.line.place;
    const offset = BigInt(`0x${match[2] ?? "0"}`) + address - found.line.address;
    return `${match[1] ?? ""}+${hex(offset, 2)}`;
  }

  /** The last line that begins at or before the address. */
  private before(address: bigint): { line: PlannedLine; index: number } | undefined {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sorted[middle]?.line.address ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    return this.sorted[low - 1];
  }
}
