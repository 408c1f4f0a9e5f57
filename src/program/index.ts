// program: what the compiler hands to the machine side, and what comes back. Types, and the memory map.

export * from "./image.js";
export * from "./plan.js";
export * from "./event.js";
export * from "./memory-map.js";
export * from "./program.js";
export * from "./stamp.js";
