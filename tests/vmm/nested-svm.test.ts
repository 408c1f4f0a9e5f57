// The tests of SVM in the core, one level deeper: a VMM that is the guest of `hardware nested` owes the same.

import { bed } from "../svm/driver.js";
import { levelMachine } from "./level-machine.js";

bed.isDeeper = true;
bed.make = levelMachine;
bed.giveRoot = (machine) => (machine as unknown as { giveRoot(): void }).giveRoot();
await import("../svm/events.test.js");
await import("../svm/exits.test.js");
await import("../svm/vmrun.test.js");
await import("../svm/state.test.js");
await import("../svm/intercepts.test.js");
await import("../svm/instructions.test.js");
await import("../svm/branches.test.js");
