// The library's constants: machine facts of isa/ by the manuals' names, and the selectors of every guest's GDT.

import { toValue } from "../base/index.js";
import {
  bitTables,
  exceptions,
  msrAddresses,
  svmExitNames,
  svmIntercepts,
  vmcbFields,
  vmxControls,
  vmcsFields,
  vmxExitReasons,
  type Platform,
} from "../isa/index.js";
import { selectors } from "../program/index.js";
import type { CaseUnit } from "./frame.js";

let made: ReadonlyMap<string, bigint> | undefined;

/** Built when the first constant is asked for: most files ask for a few, and start-up should not pay for all. */
function constants(): ReadonlyMap<string, bigint> {
  if (made) return made;
  const found = new Map<string, bigint>();
  const add = (name: string, value: bigint | number): void => {
    if (!found.has(name)) found.set(name, toValue(BigInt(value)));
  };
  for (const [table, bits] of Object.entries(bitTables)) {
    for (const [name, value] of Object.entries(bits)) add(`${table}.${name}`, value);
  }
  for (const [name, address] of Object.entries(msrAddresses)) {
    add(`MSR.${name}`, address);
    add(name, address);
  }
  for (const field of vmcsFields) add(field.name, field.encoding);
  for (const reason of vmxExitReasons) add(`EXIT.${reason.name}`, reason.number);
  for (const exit of svmExitNames()) add(`SVM.${exit.name}`, exit.code);
  for (const control of vmxControls) add(`VMX.${control.name}`, 1n << BigInt(control.bit));
  for (const intercept of svmIntercepts) add(`INTERCEPT.${intercept.name}`, 1n << BigInt(intercept.bit));
  for (const field of vmcbFields) add(`VMCB.${field.name}`, field.offsetBytes);
  for (const exception of exceptions) add(`VECTOR.${exception.name.replace("#", "")}`, exception.vector);
  for (const [name, selector] of Object.entries(selectors)) add(`GDT.${name}`, selector);
  made = found;
  return found;
}

/** The value of a constant that is the same on every platform. */
export function libraryConstant(name: string): bigint | undefined {
  return constants().get(name);
}

/** Constants that follow from the platform's model. */
const ofPlatform: Readonly<Record<string, (platform: Platform) => bigint>> = {
  /** The VMCS revision identifier: bits 30:0 of IA32_VMX_BASIC (Intel SDM vol. 3, "Basic VMX Information"). */
  "VMX.REVISION": (platform) => resetOf(platform, "IA32_VMX_BASIC") & 0x7fff_ffffn,
};

/** An MSR's value after reset; 0 where the model has no such MSR. */
function resetOf(platform: Platform, name: string): bigint {
  return platform.cpu.msrs.find((msr) => msr.name === name)?.reset ?? 0n;
}

/** The value of a constant that depends on the platform of the case. */
export function platformConstant(name: string, unit: CaseUnit): bigint | undefined {
  const compute = Object.hasOwn(ofPlatform, name) ? ofPlatform[name] : undefined;
  return compute && unit.ask(`constant ${name}`, (platform) => toValue(compute(platform)));
}

/** Names of all constants of the library, for suggestions and completion. */
export function libraryConstantNames(): string[] {
  return [...constants().keys(), ...Object.keys(ofPlatform)];
}
