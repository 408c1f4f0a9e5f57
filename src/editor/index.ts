// editor: answers to editors in offsets and plain records; the formatter.

export { formatSource } from "./format/format.js";
