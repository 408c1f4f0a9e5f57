// Which runs a fault concerns: those of the VMM that it makes wrong, on processors where it can show.

import type { Platform } from "../../isa/index.js";
import type { VmmChoice } from "../policy.js";
import type { FaultRow } from "./fault.js";

/** A case as far as its VMMs go. */
export interface VmmCase {
  readonly platform: Platform;
  readonly stack: readonly VmmChoice[];
  /** The test uses the library's VMM. */
  readonly usesHv: boolean;
}

export function concernsCase(row: FaultRow, { platform, stack, usesHv }: VmmCase): boolean {
  const { vendor, generation } = platform.cpu;
  if (row.vendor !== undefined && row.vendor !== vendor) return false;
  const runs = row.vmms.some((name) => {
    if (name === "hv") return usesHv;
    if (name === "hardware nested") return stack.some((vmm) => vmm.nested);
    const isSoftware = name !== "hardware";
    return stack.some((vmm) => vmm.kind === name) && (isSoftware || fitsPaging(row, generation));
  });
  return runs;
}

function fitsPaging({ paging }: FaultRow, generation: string): boolean {
  const isShadow = generation === "vtx1" || generation === "svm1";
  return paging === undefined || isShadow === (paging === "shadow");
}
