// vmm/stack: bundled VMMs one on another. Each outer one offers the inner one a level, as the machine does.

import type { PageAllocator } from "../page-allocator.js";
import type { SvmVcpu } from "../hardware/svm/vcpu.js";
import type { VmxVcpu } from "../hardware/vmx/vcpu.js";
import { ExecutedSvm } from "./executed-svm.js";
import { ExecutedVmx } from "./executed-vmx.js";
import { InstructionRunner } from "./instruction-runner.js";
import { LevelProcessor, type Level } from "./level.js";

export { machineLevel, type Level } from "./level.js";

/** Sizes of a level: the memory of the guest of the VMM on it, and with the VMM's own. */
export interface LevelMemory {
  readonly guestBytes: number;
  readonly bytes: number;
}

/** The level that a VMM's virtual processor is for a VMM inside; `pages` are that one's own. */
export function levelInside(
  outside: Level,
  vcpu: VmxVcpu | SvmVcpu,
  { guestBytes, bytes }: LevelMemory,
  pages: PageAllocator,
): Level {
  const processor = new LevelProcessor(outside.processor, guestBytes, bytes, vcpu);
  const { nested } = vcpu;
  const { ringZero } = outside;
  // Without virtualization of its own the level holds software VMMs, which ask for none.
  if (nested === undefined) return { processor, ringZero };
  nested.handsOver = true;
  const runner = new InstructionRunner(processor, vcpu, pages);
  if ("checkCurrent" in nested) {
    const setRegister = (name: string, value: bigint): void => processor.setRegister(name, value);
    return { processor, ringZero, vmx: new ExecutedVmx(runner, nested, setRegister) };
  }
  return { processor, ringZero, ...(outside.svm && { svm: new ExecutedSvm(runner, nested, processor, outside.svm) }) };
}
