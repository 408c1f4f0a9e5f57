// Which of several checks of VM entry or VMRUN that fail is reported.
// Intel SDM vol. 3, chapter "VM Entries": checks on controls and host state, and those on guest state, may come in any
// order; AMD APM vol. 2, "Canonicalization and Consistency Checks", has none at all.
//
// Every check is made, and `must` notes what is broken; the run's choice among the freedoms of the manuals decides which
// broken rule of a group is the group's answer: the first, the last, or any by a seed. An entry that succeeds makes all
// checks anyway, so that nothing is lost.

import { cpu, VARY_ORDER_LAST, VARY_ORDER_SEED_SHIFT } from "./layout.generated";

/** The broken rule that is reported so far, 0 for none, and by a seed its place among the others: the lowest wins. */
let reported: u32 = 0;
let place: u32 = 0;

/** Begins a group of checks whose order is free. */
export function beginChecks(): void {
  reported = 0;
}

/** One check: the rule with that number holds or is broken. */
// @ts-ignore: decorator
@inline
export function must(rule: u32, holds: bool): void {
  if (!holds) broken(rule);
}

/** The rule of the group that is reported as broken, or 0 where all hold. */
export function brokenRule(): u32 {
  return reported;
}

function broken(rule: u32): void {
  const seed = cpu.variation >> VARY_ORDER_SEED_SHIFT;
  const next: u32 = seed == 0 ? 0 : shuffled(rule ^ (seed << 16));
  if (reported != 0) {
    if (seed == 0 && (cpu.variation & VARY_ORDER_LAST) == 0) return;
    if (seed != 0 && next >= place) return;
  }
  reported = rule;
  place = next;
}

/** A number that looks like chance: the finalizer of MurmurHash3. */
function shuffled(value: u32): u32 {
  let bits = value;
  bits = (bits ^ (bits >> 16)) * 0x85ebca6b;
  bits = (bits ^ (bits >> 13)) * 0xc2b2ae35;
  return bits ^ (bits >> 16);
}
