// What faults of the software VMMs do: in what they know of the instructions that they carry out, and in what they ask of
// the processor.

import type { Emulator } from "../software/shared/emulation.js";
import type { Fault, InstructionTable } from "./fault.js";

const wholeSpace = 0xffff_ffff;

/** Instructions of these mnemonics are carried out otherwise. */
function otherwise(mnemonics: readonly string[], change: (run: Emulator) => Emulator): Fault {
  return {
    instructions: (table) => {
      const changed = new Map(table);
      for (const name of mnemonics) {
        const known = table.get(name);
        if (known) changed.set(name, { ...known, run: change(known.run) });
      }
      return changed;
    },
  };
}

/** They are left to the processor. */
function unknown(...mnemonics: readonly string[]): Fault {
  return {
    instructions: (table): InstructionTable => new Map([...table].filter(([name]) => !mnemonics.includes(name))),
  };
}

const withoutEffect = (): Emulator => () => "done";

export const cliLost = otherwise(["cli"], withoutEffect);
export const cltsLost = otherwise(["clts"], withoutEffect);
export const haltLost = otherwise(["hlt"], withoutEffect);
export const invlpgLost = otherwise(["invlpg"], withoutEffect);

export const stiShadowLost = otherwise(["sti"], (run) => (guest, instruction) => {
  const outcome = run(guest, instruction);
  guest.interruptShadow = false;
  return outcome;
});

export const cr3Unfollowed = otherwise(["mov"], (run) => (guest, instruction) => {
  const [to] = instruction.decoded.value.operands;
  if (to?.kind !== "register" || to.name !== "cr3") return run(guest, instruction);
  const { flush } = guest;
  guest.flush = () => {};
  const outcome = run(guest, instruction);
  guest.flush = flush;
  return outcome;
});

export const tableLimitLost = otherwise(["lidt", "lgdt"], (run) => (guest, instruction) => {
  const outcome = run(guest, instruction);
  const register = instruction.decoded.value.mnemonic === "lidt" ? "idtr" : "gdtr";
  guest[register] = { ...guest[register], limitBytes: 0xffff };
  return outcome;
});

export const iretFlagsKept = otherwise(["iret", "iretd", "iretw"], (run) => (guest, instruction) => {
  const before = guest.interruptFlag;
  const outcome = run(guest, instruction);
  guest.interruptFlag = before;
  return outcome;
});

export const sgdtUntranslated = unknown("sgdt", "sidt");
export const popfUntranslated = unknown("popf", "popfd", "popfw");
export const pushUntranslated = unknown("push");
export const smswUntranslated = unknown("smsw");
export const larUntranslated = unknown("lar", "lsl");

export const limitsNotCut: Fault = {
  processor: (real) => ({
    setSegment: (name, state) => {
      const isWide = state.limitBytes > 0xf000_0000 && state.limitBytes !== wholeSpace;
      real.setSegment(name, isWide ? { ...state, limitBytes: wholeSpace } : state);
    },
  }),
};

/** Translated code in which a comparison of an address is passed over: `lea ecx, [ecx + n]`, `jecxz` become a jump. */
function comparisonLost(distance: number): Fault {
  const isComparison = (bytes: Uint8Array, at: number): boolean =>
    bytes[at] === 0x8d && bytes[at + 1] === 0x89 && bytes[at + 6] === 0xe3 && bytes[at + 7] === distance;
  return {
    processor: (real) => ({
      writePhysical: (address, bytes) => {
        const changed = address >= BigInt(real.platform.memoryBytes) ? bytes.slice() : bytes;
        if (changed !== bytes) {
          for (let at = 0; at < bytes.length; at++) if (isComparison(bytes, at)) changed[at + 6] = 0xeb;
        }
        real.writePhysical(address, changed);
      },
    }),
  };
}

/** The distances are those of the translator: over the way of other returns, and over the jump to a miss. */
export const returnUnchecked = comparisonLost(28);
export const jumpUnchecked = comparisonLost(5);
