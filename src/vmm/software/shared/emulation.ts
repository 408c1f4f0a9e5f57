// The instructions that a software VMM carries out for its guest: what the table knows, and how one is done. An
// instruction is found by its mnemonic; a handler reads its operands and gives what became of it.

import { flagBits } from "../../../isa/index.js";
import type { VmmStop } from "../../bundled.js";
import type { InjectedEvent } from "../../hardware/exited-guest.js";
import type { DeniedAction } from "../../policy.js";
import type { GuestInstruction } from "../../emulation/instruction.js";
import type { SoftwareGuest } from "./software-guest.js";

/** What became of an instruction. */
export type Outcome =
  /** Done; RIP goes to the next instruction. */
  | "done"
  /** Done, and RIP is where the guest goes on. */
  | "jumped"
  /** Not complete: it begins again. */
  | "again"
  | { readonly fault: InjectedEvent }
  | { readonly stop: VmmStop };

/** Carries one instruction out; undefined where the case at hand is not the VMM's. */
export type Emulator = (guest: SoftwareGuest, instruction: GuestInstruction) => Outcome | undefined;

/** What the VMM knows of one mnemonic: the name of its event, and the work. */
export interface EmulatedInstruction {
  readonly subject: string;
  readonly run: Emulator;
}

const debugException = 1;
const protection = 13;
const singleStep = 1n << 14n;

/** Carries out an instruction that the table knows; undefined where it is not the VMM's. */
export function emulate(
  guest: SoftwareGuest,
  instruction: GuestInstruction,
  table: ReadonlyMap<string, EmulatedInstruction>,
): Outcome | undefined {
  const { mnemonic } = instruction.decoded.value;
  const known = table.get(mnemonic);
  if (known === undefined) return undefined;
  const stepped = (guest.register("RFLAGS") & flagBits.TF) !== 0n;
  const outcome = known.run(guest, instruction);
  if (outcome !== "done" && outcome !== "jumped") return outcome;
  const { events } = guest;
  if (events.listening) events.append({ kind: "emulate", subject: known.subject, rip: instruction.rip });
  const shadow = guest.interruptShadow;
  if (outcome === "done") guest.advance(instruction.decoded.length);
  else guest.retire();
  // STI and MOV SS have just cast the shadow: it is for the next instruction.
  guest.interruptShadow = shadow && castsShadow(mnemonic);
  if (stepped && guest.raised === undefined && !guest.interruptShadow) {
    guest.setRegister("DR6", guest.register("DR6") | singleStep);
    guest.raised = { vector: debugException };
  }
  return outcome;
}

function castsShadow(mnemonic: string): boolean {
  return mnemonic === "sti" || mnemonic === "mov" || mnemonic === "pop";
}

/** How the declared policy ends an access that it denies. */
export function deniedOutcome(action: DeniedAction): Outcome {
  if (action === "skip") return "done";
  return action === "stop" ? { stop: { kind: "stopped" } } : { fault: { vector: protection, errorCode: 0 } };
}
