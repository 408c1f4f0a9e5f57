// The instructions that a software VMM carries out for its guest: what the table knows, and how one is done. An
// instruction is found by its mnemonic; a handler reads its operands and gives what became of it.

import { decode, type Decoded } from "../../../codec/index.js";
import { flagBits } from "../../../isa/index.js";
import type { VmmStop } from "../../bundled.js";
import type { InjectedEvent } from "../../hardware/exited-guest.js";
import type { DeniedAction } from "../../policy.js";
import { linearOf } from "./operands.js";
import type { SoftwareGuest } from "./software-guest.js";

/** An instruction of the guest with its bytes. */
export interface GuestInstruction {
  readonly decoded: Extract<Decoded, { kind: "instruction" }>;
  readonly bytes: Uint8Array;
  readonly rip: bigint;
}

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

const longestInstruction = 15;
const debugException = 1;
const protection = 13;
const singleStep = 1n << 14n;
const operandSizePrefix = 0x66;
const addressSizePrefix = 0x67;
const prefixes: ReadonlySet<number> = new Set([
  0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
]);

/** The instruction at an offset of the guest's code, as far as it is mapped; undefined where it cannot be decoded. */
export function fetchInstruction(guest: SoftwareGuest, rip: bigint): GuestInstruction | undefined {
  const at = linearOf(guest, "CS", rip, 1);
  if ("fault" in at) return undefined;
  const bytes = guest.memory.peek(at.linear, longestInstruction);
  const decoded = decode(bytes, 0, guest.codeBits, rip);
  return decoded.kind === "instruction" ? { decoded, bytes: bytes.subarray(0, decoded.length), rip } : undefined;
}

/** Bytes of the operand size that prefixes and the code segment give. */
export function operandBytes(guest: SoftwareGuest, { bytes }: GuestInstruction): 2 | 4 {
  return hasPrefix(bytes, operandSizePrefix) === (guest.codeBits === 32) ? 2 : 4;
}

/** Bits of the address size that prefixes and the code segment give. */
export function addressBits(guest: SoftwareGuest, { bytes }: GuestInstruction): 16 | 32 {
  return hasPrefix(bytes, addressSizePrefix) === (guest.codeBits === 32) ? 16 : 32;
}

function hasPrefix(bytes: Uint8Array, prefix: number): boolean {
  for (const byte of bytes) {
    if (byte === prefix) return true;
    if (!prefixes.has(byte)) return false;
  }
  return false;
}

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
