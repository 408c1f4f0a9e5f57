// The events that judgements can name: for each kind its subjects, for each subject its fields.
//
// This is the one table behind the checks of resolve, the decoder of the machine, transcripts, hover and
// docs/events.md. What a kind means and who owes it is in docs/decisions/0001 and 0002.

import { didYouMean, nearNames } from "../base/index.js";
import type { DecodedField } from "./decoded-field.js";
import { exceptions } from "./exceptions.js";
import { svmExitNames } from "./svm/exits.js";
import { vmxExitReasons } from "./vmx/exits.js";

export type Vendor = "intel" | "amd";

/** The kinds that a judgement can name. */
export type JudgedKind =
  | "trap" | "interrupt" | "exit" | "enter" | "fail" | "reject" | "inject" | "emulate" | "refuse" | "task_switch"
  | "halt" | "shutdown" | "unsupported"; // prettier-ignore

/** One named field of an event. */
export interface EventField {
  readonly name: string;
  readonly doc: string;
  /** The words that the field can have; a field without words is a number. */
  readonly words?: readonly string[];
  /** The value is a dotted name, such as the id of a rule. */
  readonly dotted?: true;
}

/** One subject of a kind of event. */
export interface EventSubject {
  readonly name: string;
  readonly doc: string;
  readonly vendors: readonly Vendor[];
  readonly fields: readonly EventField[];
  /** The field that may stand first without its name (`#GP(0)`). */
  readonly positional?: string;
}

/** One kind of event. */
export interface EventKindInfo {
  readonly kind: JudgedKind;
  readonly doc: string;
  /** Owed by every implementation, or shown by the bundled VMM. An exit to `vmm` is shown, to a guest owed. */
  readonly duty: "owed" | "shown";
  /** What stands after the kind: a name from `subjects`, the name of a guest, a mode, or nothing. */
  readonly subject: "table" | "guest" | "mode" | "none";
  readonly subjects: readonly EventSubject[];
  /** Fields that the kind has with whatever subject. */
  readonly fields: readonly EventField[];
}

const both: readonly Vendor[] = ["intel", "amd"];
const ruleField: EventField = {
  name: "rule",
  doc: "id of the manual's rule or the control bit that decided",
  dotted: true,
};

function shown(field: DecodedField): EventField {
  const words = field.words?.filter((w) => w !== "");
  return words ? { name: field.name, doc: field.doc, words } : { name: field.name, doc: field.doc };
}

const codeField: EventField = { name: "code", doc: "error code" };
const vectorField: EventField = { name: "vector", doc: "vector" };

/** Exceptions that only one vendor has. */
const vendorsOfException: Readonly<Record<string, readonly Vendor[]>> = {
  "#VE": ["intel"],
  "#HV": ["amd"],
  "#VC": ["amd"],
  "#SX": ["amd"],
};

function exceptionSubject(name: string, title: string, hasErrorCode: boolean): EventSubject {
  const fields: EventField[] = hasErrorCode ? [codeField] : [];
  if (name === "#PF") fields.push({ name: "address", doc: "linear address of the access, as in CR2" });
  if (name === "#DB") fields.push({ name: "dr6", doc: "DR6 after the exception" });
  const vendors = vendorsOfException[name] ?? both;
  return { name, doc: title, vendors, fields, ...(hasErrorCode && { positional: "code" }) };
}

const trapSubjects: readonly EventSubject[] = [
  ...exceptions.filter((e) => e.name !== "NMI").map((e) => exceptionSubject(e.name, e.title, e.hasErrorCode)),
  { name: "INT", doc: "INT n through the guest's IDT", vendors: both, fields: [vectorField], positional: "vector" },
];

const interruptSubjects: readonly EventSubject[] = [
  { name: "INTR", doc: "an external interrupt", vendors: both, fields: [vectorField], positional: "vector" },
  { name: "NMI", doc: "a non-maskable interrupt", vendors: both, fields: [] },
];

/** Merges the exits of both vendors: a name that both have is one subject with the fields of both. */
function exitSubjects(): EventSubject[] {
  const merged = new Map<string, EventSubject>();
  const add = (name: string, doc: string, vendor: Vendor, decoded: readonly DecodedField[]) => {
    const known = merged.get(name);
    const fields = [...(known?.fields ?? [])];
    for (const field of decoded) if (!fields.some((f) => f.name === field.name)) fields.push(shown(field));
    const vendors =
      known && !known.vendors.includes(vendor) ? [...known.vendors, vendor] : (known?.vendors ?? [vendor]);
    merged.set(name, { name, doc: known?.doc ?? doc, vendors, fields });
  };
  for (const r of vmxExitReasons) add(r.name, r.doc, "intel", r.fields);
  for (const e of svmExitNames()) add(e.name, e.exit.doc, "amd", e.exit.fields);
  return [...merged.values()];
}

const errorField: EventField = { name: "error", doc: "VM-instruction error number" };
const qualificationField: EventField = { name: "qualification", doc: "exit qualification" };

const failSubjects: readonly EventSubject[] = [
  { name: "VMfailInvalid", doc: "CF is 1: there is no current VMCS to hold an error", vendors: ["intel"], fields: [] },
  {
    name: "VMfailValid",
    doc: "ZF is 1: the VM-instruction error field says why",
    vendors: ["intel"],
    fields: [errorField],
    positional: "error",
  },
];

const rejectSubjects: readonly EventSubject[] = [
  {
    name: "guest_state",
    doc: "exit reason 33 with bit 31: a check on guest state failed",
    vendors: ["intel"],
    fields: [qualificationField],
    positional: "qualification",
  },
  {
    name: "msr_load",
    doc: "exit reason 34 with bit 31: an MSR could not be loaded",
    vendors: ["intel"],
    fields: [{ name: "entry", doc: "number of the entry in the area, from 1" }],
    positional: "entry",
  },
  { name: "machine_check", doc: "exit reason 41 with bit 31", vendors: ["intel"], fields: [] },
  { name: "INVALID", doc: "VMEXIT_INVALID: the VMCB is not consistent", vendors: ["amd"], fields: [] },
];

const injectSubjects: readonly EventSubject[] = [...trapSubjects, ...interruptSubjects];

/** What the software VMMs carry out for a guest: instructions that fault in the outer rings, or would go wrong there. */
const emulatedInstructions: readonly string[] = [
  "ARPL", "CALL", "CLI", "CLTS", "HLT", "IN", "INS", "INT", "INVD", "INVLPG", "IRET", "JMP", "LAR", "LDS", "LES", "LFS",
  "LGDT", "LGS", "LIDT", "LLDT", "LMSW", "LSL", "LSS", "LTR", "MOV", "OUT", "OUTS", "POP", "POPF", "PUSH", "PUSHF",
  "RDMSR", "RDTSC", "RETF", "SGDT", "SIDT", "SLDT", "SMSW", "STI", "STR", "SYSCALL", "SYSENTER", "SYSEXIT", "SYSRET",
  "VERR", "VERW", "WBINVD", "WRMSR", "XSETBV",
]; // prettier-ignore

function emulateSubjectsOf(exits: readonly EventSubject[]): EventSubject[] {
  const byName = new Map(exits.map((exit) => [exit.name, exit]));
  for (const name of emulatedInstructions) {
    const exit = byName.get(name) ?? { name, doc: "by a software VMM", fields: [] };
    byName.set(name, { ...exit, vendors: both });
  }
  return [...byName.values()];
}

const emulateSubjects: readonly EventSubject[] = emulateSubjectsOf(exitSubjects());

/** Every kind, in the order in which docs show them. */
export const eventKinds: readonly EventKindInfo[] = [
  kind("trap", "an exception or INT n delivered inside a guest", "owed", "table", trapSubjects),
  kind("interrupt", "an interrupt delivered inside a guest", "owed", "table", interruptSubjects),
  kind("exit", "a VM exit or #VMEXIT", "owed", "table", exitSubjects()),
  kind("enter", "a VM entry or VMRUN that succeeded", "owed", "guest", []),
  kind("fail", "a VMX instruction that failed", "owed", "table", failSubjects),
  kind("reject", "an entry that failed on guest state", "owed", "table", rejectSubjects),
  kind("task_switch", "a task switch inside a guest", "owed", "none", [], [{ name: "selector", doc: "new TSS" }]),
  kind("halt", "the guest halted and nothing can wake it", "owed", "none", []),
  kind("shutdown", "a triple fault", "owed", "none", []),
  kind("unsupported", "the guest executed what this machine does not implement", "owed", "none", []),
  kind("inject", "the VMM injects an event into its guest", "shown", "table", injectSubjects),
  kind("emulate", "the VMM does an instruction's work for its guest", "shown", "table", emulateSubjects),
  kind("refuse", "the VMM refuses what it cannot do", "shown", "mode", []),
];

function kind(
  name: JudgedKind,
  doc: string,
  duty: EventKindInfo["duty"],
  subject: EventKindInfo["subject"],
  subjects: readonly EventSubject[],
  fields: readonly EventField[] = [],
): EventKindInfo {
  return { kind: name, doc, duty, subject, subjects, fields: [...fields, ruleField] };
}

const kindsByName = new Map<string, EventKindInfo>(eventKinds.map((k) => [k.kind, k]));
const subjectsByKind = new Map<string, ReadonlyMap<string, EventSubject>>(
  eventKinds.map((k) => [k.kind, new Map(k.subjects.map((s) => [s.name, s]))]),
);

/** The kind of that name, or undefined. */
export function findEventKind(name: string): EventKindInfo | undefined {
  return kindsByName.get(name);
}

/** Subjects of a kind, all or those of one vendor. */
export function eventSubjects(kindName: JudgedKind, vendor?: Vendor): readonly EventSubject[] {
  const subjects = kindsByName.get(kindName)?.subjects ?? [];
  return vendor ? subjects.filter((s) => s.vendors.includes(vendor)) : subjects;
}

/** The subject of that name, or undefined. */
export function findEventSubject(kindName: JudgedKind, subject: string): EventSubject | undefined {
  return subjectsByKind.get(kindName)?.get(subject);
}

/** Fields of a kind with a subject, those of the kind last; only the kind's where the subject is not known. */
export function fieldsOf(kindName: JudgedKind, subject?: string): readonly EventField[] {
  const general = kindsByName.get(kindName)?.fields ?? [];
  const own = subject === undefined ? undefined : findEventSubject(kindName, subject);
  return own ? [...own.fields, ...general] : general;
}

/** A help text with near subject names, or undefined when nothing is near. */
export function suggestSubject(kindName: JudgedKind, wrong: string): string | undefined {
  return didYouMean(
    nearNames(
      wrong,
      eventSubjects(kindName).map((s) => s.name),
    ),
  );
}
