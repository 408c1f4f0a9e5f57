// vmm: the bundled VMMs, which run a guest on the virtualization interface that the machine, or another VMM, offers.

export * from "./virtualization.js";
