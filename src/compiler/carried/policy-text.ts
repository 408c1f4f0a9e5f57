// What a test declares of its VMM, as the lines of the library's `hv` that a carried image's VMM executes, and what of it
// that one cannot enforce.

import { imaging, type Diagnostic, type Span } from "../../base/index.js";
import {
  controlWords,
  exceptionByName,
  exceptions,
  findSvmIntercept,
  findVmxControl,
  findVmxExit,
  type Platform,
  type VmxControl,
} from "../../isa/index.js";
import type { MemoryRule, MsrRule, Policy, PortRule } from "../../resolve/index.js";

/** Rules that `hv` has room for (HV.RULES), and pages of 2 MiB whose parts its tables can hold. */
const mostRules = 32;
const mostTables = 12;
const largePage = 0x20_0000n;

/** Exits by which interrupts and windows of the bundled VMM's own come to it; and the task switch that nobody carries out. */
const notAsked: ReadonlySet<string> = new Set([
  ...["EXTERNAL_INTERRUPT", "INTERRUPT_WINDOW", "NMI_WINDOW", "INIT_SIGNAL", "SIPI", "MONITOR_TRAP_FLAG"],
  ...["INTR", "NMI", "SMI", "INIT", "VINTR", "TASK_SWITCH", "EPT_VIOLATION", "NPF"],
]);

/** Exits that the baseline policy has anyway. */
const inBaseline: ReadonlySet<string> = new Set([
  ...["CPUID", "HLT", "IO_INSTRUCTION", "RDMSR", "WRMSR", "IOIO", "MSR", "SHUTDOWN", "TRIPLE_FAULT", "INVD", "XSETBV"],
  ...["VMRUN", "VMMCALL", "VMLOAD", "VMSAVE", "STGI", "CLGI", "SKINIT", "INVLPGA"],
]);

/** Why the image's VMM does not handle an exit that a test asks for or names. */
export function unansweredExit(name: string): string | undefined {
  if (name === "TASK_SWITCH") return "the library's hv carries out no task switch";
  return notAsked.has(name) && name !== "EPT_VIOLATION" && name !== "NPF"
    ? "the library's hv leaves interrupts to its guest"
    : undefined;
}

/** What of a policy the image's VMM cannot enforce. */
export function policyProblems(policy: Policy, platform: Platform, span: Span): Diagnostic[] {
  const found: Diagnostic[] = [];
  const problem = (what: string, why: string, at: Span): void => {
    found.push(imaging.bundledOnly({ what, why }, { span: at }));
  };
  for (const name of policy.intercepts) {
    const why = unansweredExit(name);
    if (why !== undefined) problem(`\`intercept ${name}\``, why, span);
  }
  const rules = [...policy.ports, ...policy.msrs, ...policy.memory];
  const [beyond] = rules.slice(mostRules);
  if (beyond) problem("a policy of so many rules", `the library's hv has room for ${mostRules}`, beyond.span);
  const [memory] = policy.memory;
  const { generation, name } = platform.cpu;
  if (memory && (generation === "vtx1" || generation === "svm1")) {
    problem("this `memory`", `the library's hv needs EPT or nested paging, which ${name} does not have`, memory.span);
  }
  const parts = new Set(policy.memory.flatMap(({ start, end }) => largePages(start, end)));
  if (memory && parts.size > mostTables)
    problem("`memory` of so wide a range", `the library's hv has tables for ${mostTables} times 2 MiB`, memory.span);
  return found;
}

/** Numbers of the pages of 2 MiB that a range touches, as many as matter. */
function largePages(start: bigint, end: bigint): bigint[] {
  const pages: bigint[] = [];
  for (let page = start / largePage; page <= end / largePage && pages.length <= mostTables; page++) pages.push(page);
  return pages;
}

/** Exceptions that exit because the test asks for them, as bits by vector. */
export function askedExceptions({ intercepts }: Policy): number {
  const asked = intercepts.includes("EXCEPTION_NMI")
    ? exceptions.filter(({ name }) => name.startsWith("#"))
    : intercepts.flatMap((name) => (name.startsWith("#") ? (exceptionByName(name) ?? []) : []));
  return asked.reduce((bits, { vector }) => (bits | (1 << vector)) >>> 0, 0);
}

/** The lines that declare a policy to `hv`. `exceptionBits` are the exceptions that exit for whatever reason. */
export function policyText(policy: Policy, platform: Platform, exceptionBits: number): string {
  const isIntel = platform.cpu.vendor === "intel";
  const lines = [
    `hv.exceptions ${exceptionBits}`,
    ...(isIntel ? vmxIntercepts(policy) : svmIntercepts(policy)),
    ...policy.ports.map((rule) => rangeText("ports", rule)),
    ...policy.msrs.map((rule) => rangeText("msrs", rule)),
    ...policy.memory.map((rule) => rangeText("memory", rule)),
  ];
  return lines.map((line) => `  ${line}\n`).join("");
}

function rangeText(word: string, { start, end, rights, denied }: PortRule | MsrRule | MemoryRule): string {
  const allowed = [rights.read && "HV.R", rights.write && "HV.W", "execute" in rights && rights.execute && "HV.X"];
  const bits = allowed.filter((one) => one !== false).join(" | ");
  return `hv.${word} ${start}, ${end}, ${bits === "" ? "HV.NONE" : bits}, HV.${denied.toUpperCase()}`;
}

/** Exits whose controls the exit's own row does not name. */
const furtherControls: Readonly<Record<string, readonly string[]>> = {
  CR_ACCESS: ["CR3_LOAD_EXITING", "CR3_STORE_EXITING", "CR8_LOAD_EXITING", "CR8_STORE_EXITING"],
  PAUSE: ["PAUSE_EXITING"],
};

function vmxIntercepts({ intercepts, interceptNothing }: Policy): string[] {
  const controls = intercepts
    .filter((name) => !inBaseline.has(name))
    .flatMap((name) => furtherControls[name] ?? namedControls(name))
    .flatMap((name) => findVmxControl(name) ?? []);
  const mask = (word: VmxControl["word"]): number =>
    controls.reduce((bits, control) => (control.word === word ? (bits | (1 << control.bit)) >>> 0 : bits), 0);
  return [
    ...(interceptNothing ? [`vmx.clear ${controlWords.primary.field}, VMX.HLT_EXITING`] : []),
    `hv.ask_controls ${mask("primary")}, ${mask("secondary")}`,
    ...(intercepts.includes("CR_ACCESS") ? ["hv.own_control_registers"] : []),
  ];
}

function namedControls(exit: string): readonly string[] {
  const when = findVmxExit(exit)?.when;
  return when === undefined || when === "always" ? [] : when;
}

function svmIntercepts({ intercepts, interceptNothing }: Policy): string[] {
  const words = new Map<number, number>();
  for (const name of intercepts.filter((one) => !inBaseline.has(one))) {
    const found = findSvmIntercept(name);
    if (found) words.set(found.offset, ((words.get(found.offset) ?? 0) | (1 << found.bit)) >>> 0);
  }
  const off = "and dword [svm.vmcb + VMCB.INTERCEPT_MISC1], ~(INTERCEPT.CPUID | INTERCEPT.HLT)";
  return [...(interceptNothing ? [off] : []), ...[...words].map(([offset, bits]) => `hv.ask_word ${offset}, ${bits}`)];
}
