// What a platform can run: modes, features and VMMs. The answer is a reason in words, or that it can.

import {
  controlWords,
  featureNames,
  findVmxControl,
  vmxControls,
  type Platform,
  type VmxControl,
} from "../isa/index.js";
import { guestModes } from "./modes.js";
import type { GuestMode, VmmChoice } from "./resolved.js";

/** Why a platform cannot start a guest in a mode. */
export function modeProblem(mode: GuestMode, platform: Platform): string | undefined {
  const lacking = guestModes.get(mode)?.features.find((feature) => !platform.cpu.features.includes(feature));
  return lacking === undefined ? undefined : `${mode} needs ${lacking}, which ${platform.name} does not have`;
}

/** What `requires` can name: CPU features, and the VMX controls that a processor may allow. */
export function requirableNames(): readonly string[] {
  return [...featureNames, ...vmxControls.map((control) => control.name)];
}

/** Why a platform cannot run what asks for a feature or a VMX control. */
export function featureProblem(name: string, platform: Platform): string | undefined {
  const control = findVmxControl(name);
  const has = control ? allowsControl(control, platform) : platform.cpu.features.includes(name);
  return has ? undefined : `${platform.name} does not have ${name}`;
}

/** Whether the capability MSR lets a control be 1 (Intel SDM vol. 3, "VMX Capability Reporting Facility"). */
function allowsControl({ word, bit }: VmxControl, platform: Platform): boolean {
  const capability = platform.cpu.msrs.find((msr) => msr.address === controlWords[word].msr)?.reset ?? 0n;
  const allowed = word === "vmfunc" ? capability : capability >> 32n;
  return ((allowed >> BigInt(bit)) & 1n) === 1n;
}

/** How many bundled VMMs may run one on another. */
const deepestStack = 3;

type Stack = readonly Pick<VmmChoice, "kind" | "nested">[];

/** Why a stack of bundled VMMs, innermost first, cannot run on a platform. */
export function vmmProblem(stack: Stack, platform: Platform): string | undefined {
  for (const [index, vmm] of stack.entries()) {
    const outer = stack[index + 1];
    const problem = vmm.kind === "hardware" ? hardwareProblem(vmm, outer, platform) : softwareProblem(outer);
    if (problem !== undefined) return problem;
  }
  return stack.length > deepestStack ? `at most ${deepestStack} bundled VMMs run one on another` : undefined;
}

/** A software VMM needs no feature, but ring 0 to itself. */
function softwareProblem(outer: Stack[number] | undefined): string | undefined {
  if (outer === undefined || outer.kind === "hardware") return undefined;
  return `under ${outer.kind} another software VMM finds no ring 0 of its own`;
}

function hardwareProblem(vmm: Stack[number], outer: Stack[number] | undefined, platform: Platform): string | undefined {
  const { generation, vendor } = platform.cpu;
  if (generation === "unassisted") return `${platform.name} has no hardware virtualization`;
  const { vmx, svm } = platform.firmware;
  const isEnabled = vendor === "intel" ? vmx === "enabled" || vmx === "unlocked" : svm === "enabled";
  if (!isEnabled) return `the firmware of ${platform.name} switched ${vendor === "intel" ? "VT-x" : "SVM"} off`;
  if (outer && !(outer.kind === "hardware" && outer.nested)) {
    return "a VMM that uses the hardware must run on the machine itself, or under `hardware nested`";
  }
  if (generation === "vtx1" || generation === "svm1") {
    const lacking = vendor === "intel" ? "EPT" : "nested paging";
    if (vmm.nested) return `the bundled VMM nests only with ${lacking}, which ${platform.name} does not have`;
    return undefined;
  }
  return undefined;
}
