// codec: instruction values to bytes and back, and to text, from the facts of isa/.

export * from "./instruction.js";
