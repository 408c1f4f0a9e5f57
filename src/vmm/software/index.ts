// software: the bundled VMMs that need no hardware assist. Their guest runs in the outer rings; the VMM is ring 0.

export { softwareInstructions, startSoftware, whyNotSoftware } from "./start.js";
