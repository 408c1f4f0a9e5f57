// Decodes raw records of the core into events with the manuals' names, by the tables of isa/. Who the parties are is
// not known here: the runner adds names.
//
// Payload of the records that virtualization makes (a, b, c, d of the record):
//   exit, VMX     code basic reason; exit qualification; guest-physical address; guest-linear address, or RCX where
//                 the exit has none; interruption information, and above it error code or instruction information
//   exit, SVM     code EXITCODE's low 16 bits; EXITINFO1; EXITINFO2; EXITINTINFO, or RCX for MSR; EXITCODE
//   enter         code 0; physical address of the VMCS or VMCB; RIP of the guest
//   fail          code error number, 0 for VMfailInvalid
//   reject        code basic reason, or 0xffff for VMEXIT_INVALID; exit qualification
//   task_switch   selector of the new TSS

import { assert } from "../base/index.js";
import {
  decodeFields,
  exceptionByVector,
  noRawWords,
  ruleIdByNumber,
  svmExitByCode,
  vmxExitByNumber,
} from "../isa/index.js";
import type { RawWords, Vendor } from "../isa/index.js";
import type { EventKind, FieldValue, RunEvent } from "../program/index.js";
import * as layout from "./layout.generated.js";
import type { RawEventFields } from "./raw-event.js";

/** An event without its parties. */
export type DecodedEvent = Pick<RunEvent, "kind" | "subject" | "fields" | "rip" | "retired" | "rule">;

const kinds: readonly (EventKind | undefined)[] = (() => {
  const list: (EventKind | undefined)[] = [];
  list[layout.EVENT_VISIT] = "visit";
  list[layout.EVENT_TRAP] = "trap";
  list[layout.EVENT_INTERRUPT] = "interrupt";
  list[layout.EVENT_EXIT] = "exit";
  list[layout.EVENT_ENTER] = "enter";
  list[layout.EVENT_FAIL] = "fail";
  list[layout.EVENT_REJECT] = "reject";
  list[layout.EVENT_INJECT] = "inject";
  list[layout.EVENT_EMULATE] = "emulate";
  list[layout.EVENT_REFUSE] = "refuse";
  list[layout.EVENT_TASK_SWITCH] = "task_switch";
  list[layout.EVENT_HALT] = "halt";
  list[layout.EVENT_SHUTDOWN] = "shutdown";
  list[layout.EVENT_UNSUPPORTED] = "unsupported";
  list[layout.EVENT_PROBE] = "probe";
  list[layout.EVENT_DONE] = "done";
  return list;
})();

/** Most events have no fields, and runs have many events. */
const noFields: Readonly<Record<string, FieldValue>> = Object.freeze({});
const bare: EventNames = { fields: noFields };

/** Subject and fields of an event. */
export interface EventNames {
  readonly subject?: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** Decodes a raw record. The vendor decides how exits are named. */
export function decodeEvent(raw: RawEventFields, vendor: Vendor): DecodedEvent {
  const kind = eventKind(raw);
  const { subject, fields } = eventNames(kind, raw, vendor);
  const { rip, retired } = raw;
  const rule = ruleIdByNumber(raw.rule);
  if (rule !== undefined) return { kind, ...(subject !== undefined && { subject }), fields, rip, retired, rule };
  return subject === undefined ? { kind, fields, rip, retired } : { kind, subject, fields, rip, retired };
}

/** The kind of a raw record. */
export function eventKind(raw: RawEventFields): EventKind {
  const kind = kinds[raw.kind];
  assert(kind !== undefined, `the core's event kind ${raw.kind} has a name`);
  return kind;
}

/** What the manual calls it. */
export function eventNames(kind: EventKind, raw: RawEventFields, vendor: Vendor): EventNames {
  switch (kind) {
    case "trap":
      return trap(raw);
    case "interrupt":
      return raw.code === nmiVector ? { subject: "NMI", fields: {} } : vectorOf("INTR", raw);
    case "exit":
      return vendor === "intel" ? vmxExit(raw) : svmExit(raw);
    case "fail":
      return raw.code === 0
        ? { subject: "VMfailInvalid", fields: {} }
        : { subject: "VMfailValid", fields: { error: BigInt(raw.code) } };
    case "reject":
      return rejected(raw);
    case "task_switch":
      return { fields: { selector: raw.a } };
    default:
      return bare;
  }
}

const nmiVector = 2;
const errorCodeBit = 0x100n;
const typeMask = 0xffn;

function vectorOf(subject: string, raw: RawEventFields): EventNames {
  return { subject, fields: { vector: BigInt(raw.code) } };
}

function trap(raw: RawEventFields): EventNames {
  if (Number(raw.d & typeMask) === layout.TYPE_SOFTWARE_INTERRUPT) return vectorOf("INT", raw);
  const exception = exceptionByVector(raw.code);
  if (!exception) return vectorOf("INT", raw);
  const fields: Record<string, FieldValue> = {};
  if ((raw.d & errorCodeBit) !== 0n) fields["code"] = raw.a;
  if (exception.name === "#PF") fields["address"] = raw.b;
  if (exception.name === "#DB") fields["dr6"] = raw.b;
  return { subject: exception.name, fields };
}

function vmxExit(raw: RawEventFields): EventNames {
  const reason = vmxExitByNumber(raw.code);
  if (!reason) return { subject: "unknown", fields: { code: BigInt(raw.code) } };
  if (reason.fields.length === 0) return { subject: reason.name, fields: noFields };
  const words: RawWords = {
    ...noRawWords,
    qualification: raw.a,
    guestPhysical: raw.b,
    guestLinear: raw.c,
    rcx: raw.c,
    interruptionInfo: raw.d & 0xffff_ffffn,
    interruptionError: raw.d >> 32n,
    instructionInfo: raw.d >> 32n,
  };
  return { subject: reason.name, fields: decodeFields(reason.fields, words) };
}

function svmExit(raw: RawEventFields): EventNames {
  const found = svmExitByCode(raw.d);
  if (!found) return { subject: "unknown", fields: { code: raw.d } };
  if (found.exit.fields.length === 0) return { subject: found.name, fields: noFields };
  const words: RawWords = {
    ...noRawWords,
    exitinfo1: raw.a,
    exitinfo2: raw.b,
    exitintinfo: raw.c,
    rcx: raw.c,
    exitcode: raw.d,
  };
  return { subject: found.name, fields: decodeFields(found.exit.fields, words) };
}

const reasonMsrLoading = 34;
const reasonMachineCheck = 41;
const svmInvalid = 0xffff;

function rejected(raw: RawEventFields): EventNames {
  if (raw.code === svmInvalid) return { subject: "INVALID", fields: {} };
  if (raw.code === reasonMsrLoading) return { subject: "msr_load", fields: { entry: raw.a } };
  if (raw.code === reasonMachineCheck) return { subject: "machine_check", fields: {} };
  return { subject: "guest_state", fields: { qualification: raw.a } };
}
