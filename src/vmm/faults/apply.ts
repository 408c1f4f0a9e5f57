// Puts a fault between a VMM and the level that it runs on.

import type { Processor } from "../virtualization.js";
import type { Level } from "../stack/index.js";
import type { Fault } from "./fault.js";
import { over } from "./over.js";
import { SvmSeat } from "./svm-seat.js";
import { VmxSeat } from "./vmx-seat.js";

/** The level as a VMM with the fault uses it; the same level where there is none. */
export function faultyLevel(level: Level, fault: Fault | undefined): Level {
  if (fault === undefined) return level;
  const { processor, vmx, svm } = level;
  if (vmx && (fault.vmx || fault.processor)) {
    const seat = new VmxSeat(vmx, processor, fault.vmx ?? {});
    return { ...level, vmx: seat.operations(), processor: faultyProcessor(processor, fault, seat) };
  }
  if (svm && (fault.svm || fault.processor)) {
    const seat = new SvmSeat(svm, processor, fault.svm ?? {});
    return { ...level, svm: seat.operations(), processor: faultyProcessor(processor, fault, seat) };
  }
  // No virtualization of its own: a level for software VMMs.
  const changes = fault.processor?.(processor, { processor, lastExit: undefined });
  return changes ? { ...level, processor: over<Processor>(processor, changes) } : level;
}

function faultyProcessor(real: Processor, fault: Fault, seat: VmxSeat | SvmSeat): Processor {
  const run: Processor["run"] = (budgetInstructions) => seat.run(budgetInstructions);
  return over<Processor>(real, { run, ...fault.processor?.(real, seat) });
}
