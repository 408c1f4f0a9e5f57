// The guest of a hardware VMM, for instructions that the VMM carries out by their operands (src/vmm/emulation/).

import { GuestMemory } from "../emulation/guest-memory.js";
import type { TaskGuest } from "../emulation/task-switch.js";
import type { PagingState } from "../guest-paging.js";
import type { Processor } from "../virtualization.js";
import type { GuestBase } from "./guest-base.js";

/** A guest that has exited, as the work of its instructions needs it. */
export function operandGuest(guest: GuestBase, processor: Processor): TaskGuest {
  // What is done for the guest may change how its memory is mapped.
  const paging: PagingState = {
    get cr0() {
      return guest.register("CR0");
    },
    get cr3() {
      return guest.register("CR3");
    },
    get cr4() {
      return guest.register("CR4");
    },
    get efer() {
      return guest.register("EFER");
    },
  };
  return {
    register: (name) => guest.register(name),
    setRegister: (name, value) => guest.setRegister(name, value),
    segment: (name) => guest.segment(name),
    setSegment: (name, state) => guest.setSegment(name, state),
    codeBits: guest.codeBits,
    cpl: (guest.segment("SS").rights >> 5) & 3,
    memory: new GuestMemory(processor, paging, () => {}),
  };
}
