// Entries and exits of a guest's own VMM, as a carried image reports them: raw words to events, by the tables of isa/.

import { decodeFields, noRawWords, svmExitByCode, vmxExitByNumber, type RawWords } from "../isa/index.js";
import type { FieldValue, RunEvent } from "../program/index.js";

/** What an entry led to, without the parties. */
export interface EntryOutcome {
  /** False where the entry failed after the checks on controls and host state. */
  readonly entered: boolean;
  readonly event: Pick<RunEvent, "kind" | "subject" | "fields">;
  /** Where the inner guest stood. */
  readonly rip: bigint;
}

/** Bit 31 of the exit reason: the entry failed (Intel SDM vol. 3, "VM-Entry Failures During or After Loading Guest State"). */
const entryFailed = 0x8000_0000n;
const basicReason = 0xffffn;
const reasonMsrLoading = 34;
const reasonMachineCheck = 41;

/** From the words of an `x` line: fields of the VMCS in the order in which the scaffold reads them. */
export function vmxOutcome(words: readonly bigint[]): EntryOutcome {
  const [reason = 0n, qualification = 0n, guestPhysical = 0n, guestLinear = 0n, ...more] = words;
  const [interruptionInfo = 0n, interruptionError = 0n, idtVectoringInfo = 0n, idtVectoringError = 0n, ...rest] = more;
  const [instructionLength = 0n, instructionInfo = 0n, rip = 0n, rcx = 0n] = rest;
  const number = Number(reason & basicReason);
  if ((reason & entryFailed) !== 0n) return { entered: false, event: rejection(number, qualification), rip };
  const raw: RawWords = {
    ...noRawWords,
    qualification,
    guestPhysical,
    guestLinear,
    interruptionInfo,
    interruptionError,
    idtVectoringInfo,
    idtVectoringError,
    instructionLength,
    instructionInfo,
    rcx,
  };
  const known = vmxExitByNumber(number);
  if (!known) return { entered: true, event: exit("unknown", { code: reason & basicReason }), rip };
  return { entered: true, event: exit(known.name, decodeFields(known.fields, raw)), rip };
}

/** From the words of a `y` line: fields of the VMCB. */
export function svmOutcome(words: readonly bigint[]): EntryOutcome {
  const [exitcode = 0n, exitinfo1 = 0n, exitinfo2 = 0n, exitintinfo = 0n, rip = 0n, rcx = 0n] = words;
  if (BigInt.asIntN(64, exitcode) === -1n) {
    return { entered: false, event: { kind: "reject", subject: "INVALID", fields: {} }, rip };
  }
  const known = svmExitByCode(exitcode);
  if (!known) return { entered: true, event: exit("unknown", { code: exitcode }), rip };
  const raw: RawWords = { ...noRawWords, exitcode, exitinfo1, exitinfo2, exitintinfo, rcx };
  return { entered: true, event: exit(known.name, decodeFields(known.exit.fields, raw)), rip };
}

function exit(subject: string, fields: Readonly<Record<string, FieldValue>>): EntryOutcome["event"] {
  return { kind: "exit", subject, fields };
}

function rejection(number: number, qualification: bigint): EntryOutcome["event"] {
  if (number === reasonMsrLoading) return { kind: "reject", subject: "msr_load", fields: { entry: qualification } };
  if (number === reasonMachineCheck) return { kind: "reject", subject: "machine_check", fields: {} };
  return { kind: "reject", subject: "guest_state", fields: { qualification } };
}
