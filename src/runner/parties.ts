// Who is who: guests by the addresses of their code, receivers of exits by who entered (docs/decisions/0001).
//
// The core knows only root, non-root and the address of a VMCS or VMCB. The name of a guest follows from where its
// code lies; the owner of a VMCS is the party that entered with it.

import type { Image } from "../program/index.js";

export const bundledVmm = "vmm";

/** Names for the addresses of one run. */
export class Parties {
  /** Of ranges that hold an address the last is the narrowest. */
  private readonly ranges: readonly { readonly guest: string; readonly start: bigint; readonly end: bigint }[];
  private readonly outermost: string;
  /** For each VMCS or VMCB entered by a guest: the guest that entered and the guest that runs in it. */
  private readonly contexts = new Map<bigint, { readonly owner: string; readonly guest: string }>();

  constructor(image: Image) {
    this.ranges = image.guests;
    this.outermost = image.guests[0]?.guest ?? "guest";
  }

  /** The guest whose code holds `rip`; code outside every range is given to the guest that runs in the context. */
  guestAt(rip: bigint, context: bigint): string {
    return this.inRange(rip) ?? this.contexts.get(context)?.guest ?? this.outermost;
  }

  /** A guest's own VMM entered a guest at `guestRip` with this VMCS or VMCB. */
  entered(context: bigint, owner: string, guestRip: bigint): string {
    const guest = this.inRange(guestRip) ?? `${owner}'s guest`;
    this.contexts.set(context, { owner, guest });
    return guest;
  }

  /** The guest in whose code an address lies. */
  private inRange(address: bigint): string | undefined {
    for (let i = this.ranges.length - 1; i >= 0; i--) {
      const range = this.ranges[i];
      if (range && range.start <= address && address < range.end) return range.guest;
    }
    return undefined;
  }

  /** Who receives the exits of this VMCS or VMCB: the guest that entered with it, or else the bundled VMM. */
  receiver(context: bigint): string {
    return this.contexts.get(context)?.owner ?? bundledVmm;
  }
}
