// codec: instruction values to bytes and back, and to text, from the facts of isa/.

export * from "./instruction.js";
export { decode, MAX_INSTRUCTION_BYTES, type Decoded } from "./decode.js";
export { encodeForced, encodeForm, type EncodedForm, type EncodePlace } from "./encode.js";
export { addressText, format, operandText } from "./format.js";
export { findRegister, isRegister } from "./registers.js";
export { isBranch } from "./encoder-forms.js";
export { encode, type Encoded, type InstructionSpans } from "./diagnose.js";
export { disassemble, type DisassembledLine } from "./disassemble.js";
