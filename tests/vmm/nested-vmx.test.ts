// The tests of VMX in the core, one level deeper: a VMM that is the guest of `hardware nested` owes the same.

import { bed } from "../vmx/driver.js";
import { levelMachine } from "./level-machine.js";

bed.isDeeper = true;
bed.make = levelMachine;
bed.giveRoot = (machine) => (machine as unknown as { giveRoot(): void }).giveRoot();
await import("../vmx/events.test.js");
await import("../vmx/exits.test.js");
await import("../vmx/apic.test.js");
await import("../vmx/memory.test.js");
await import("../vmx/instructions.test.js");
await import("../vmx/entry-rules.test.js");
await import("../vmx/rows.test.js");
await import("../vmx/priority.test.js");
await import("../vmx/tlb.test.js");
await import("../vmx/findings.test.js");
