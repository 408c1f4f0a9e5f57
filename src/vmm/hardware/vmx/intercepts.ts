// From names of exits to the controls that cause them: `intercept RDTSC` and the optional rows of the baseline.

import { exceptionByName, exceptions, findVmxExit, type VmxControlName } from "../../../isa/index.js";
import { baselinePolicy } from "../../baseline-policy.js";
import type { VmmPolicy } from "../../policy.js";

/** Exits whose controls the exit's own row does not name. */
const furtherControls: Readonly<Record<string, readonly VmxControlName[]>> = {
  CR_ACCESS: ["CR3_LOAD_EXITING", "CR3_STORE_EXITING", "CR8_LOAD_EXITING", "CR8_STORE_EXITING"],
  PAUSE: ["PAUSE_EXITING"],
};

/** Exits that ports and bitmaps cause, whose general control the VMM sets in any case. */
const byBitmap: ReadonlySet<string> = new Set(["IO_INSTRUCTION", "RDMSR", "WRMSR"]);

/** Names of the exits that the VMM asks for: declared ones, and the baseline's optional ones where they are wanted. */
export function askedExits(policy: VmmPolicy): readonly string[] {
  const optional = baselinePolicy.filter((row) => row.optional === true).flatMap((row) => row.intel ?? []);
  return policy.interceptNothing === true ? policy.intercepts : [...policy.intercepts, ...optional];
}

/** The controls that cause those exits. */
export function interceptControls(policy: VmmPolicy): VmxControlName[] {
  return askedExits(policy)
    .filter((name) => !byBitmap.has(name))
    .flatMap((name) => controlsOf(name));
}

/** Controls of one exit; none for exits that are unconditional or come from the exception bitmap. */
export function controlsOf(name: string): readonly VmxControlName[] {
  const when = findVmxExit(name)?.when;
  const own = when === undefined || when === "always" ? [] : when;
  return furtherControls[name] ?? own;
}

/** The exception bitmap of the declared exceptions; `EXCEPTION_NMI` asks for all of them. */
export function exceptionBits(policy: VmmPolicy): number {
  const asked = policy.intercepts.includes("EXCEPTION_NMI")
    ? exceptions.filter((exception) => exception.name.startsWith("#"))
    : policy.intercepts.flatMap((name) => exceptionByName(name) ?? []);
  return asked.reduce((bits, exception) => (bits | (1 << exception.vector)) >>> 0, 0);
}
