// software: the bundled VMMs that need no hardware assist. Their guest runs in the outer rings; the VMM is ring 0.

export { startSoftware, whyNotSoftware } from "./start.js";
