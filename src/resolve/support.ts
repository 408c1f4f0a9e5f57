// What a platform can run: modes, features and VMMs. The answer is a reason in words, or that it can.

import type { Platform } from "../isa/index.js";
import { guestModes } from "./modes.js";
import type { GuestMode, VmmChoice } from "./resolved.js";

/** Why a platform cannot start a guest in a mode. */
export function modeProblem(mode: GuestMode, platform: Platform): string | undefined {
  const lacking = guestModes.get(mode)?.features.find((feature) => !platform.cpu.features.includes(feature));
  return lacking === undefined ? undefined : `${mode} needs ${lacking}, which ${platform.name} does not have`;
}

/** Why a platform cannot run what asks for a feature. */
export function featureProblem(feature: string, platform: Platform): string | undefined {
  return platform.cpu.features.includes(feature) ? undefined : `${platform.name} does not have ${feature}`;
}

type Stack = readonly Pick<VmmChoice, "kind" | "nested">[];

/** Why a stack of bundled VMMs, innermost first, cannot run on a platform. */
export function vmmProblem(stack: Stack, platform: Platform): string | undefined {
  for (const [index, vmm] of stack.entries()) {
    const outer = stack[index + 1];
    const problem =
      vmm.kind === "hardware" ? hardwareProblem(vmm, outer, platform) : `the bundled VMMs have no ${vmm.kind} yet`;
    if (problem !== undefined) return problem;
  }
  return stack.length > 1 ? "the bundled VMMs do not stack yet" : undefined;
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
    return `${platform.name} has no ${lacking}, and the bundled VMM does not shadow page tables yet`;
  }
  return vmm.nested ? "the bundled VMM does not nest yet" : undefined;
}
