// Root operation in the guest's own hands: code at the host's place executes VMX instructions itself.

import { layout } from "../../src/machine/index.js";
import type { DecodedEvent } from "../../src/machine/index.js";
import { bed, place, Vmm } from "./driver.js";

/** Memory operand of the tests' instructions: [rbx]. */
export const operand = 0x18_0000n;

/** A machine in VMX operation with a current VMCS that enters, whose root operation runs code. */
export class Root extends Vmm {
  constructor(model = "skylake", host: "long" | "legacy" = "long") {
    super(model, undefined, host);
    const m = this.machine;
    bed.giveRoot(m);
    m.setRegister("CR3", host === "long" ? place.hostTables : place.legacyTables);
    m.setRegister("IDTR.BASE", place.guestIdt);
    m.setRegister("IDTR.LIMIT", 0x1ffn);
    m.setRegister("GDTR.BASE", place.gdt);
    m.setRegister("GDTR.LIMIT", 0x27n);
    m.setSegment("TR", { selector: 0x18, base: place.tss, limitBytes: 0x67, rights: 0x8b });
    m.writeU64(place.tss + 4n, place.hostStack);
    m.setRegister("RBX", operand);
    // After an exit the host halts.
    m.writeU8(place.hostCode + 0x800n, 0xf4);
    this.write("HOST_RIP", place.hostCode + 0x800n);
  }

  /** What [rbx] holds. */
  operand(low: bigint, high = 0n): this {
    this.machine.writeU64(operand, low);
    this.machine.writeU64(operand + 8n, high);
    return this;
  }

  register(name: string, value: bigint): this {
    this.machine.setRegister(name, value);
    return this;
  }

  /** Runs bytes in root operation until a halt; gives the events but for the halt. */
  execute(hex: string): DecodedEvent[] {
    const m = this.machine;
    m.writePhysical(place.hostCode, Uint8Array.from(Buffer.from(`${hex} f4`.replaceAll(" ", ""), "hex")));
    m.setRegister("RIP", place.hostCode);
    // The last run ended in a halt.
    m.view.setUint32(layout.CPU_BASE + layout.cpuLayout.activity.offset, layout.ACTIVITY_ACTIVE, true);
    m.run(1000);
    return this.events().filter((e) => e.kind !== "halt");
  }
}
