// devices: what stands around the processor on a PC's board.

export { attachPc, type Pc, type PcOptions } from "./pc.js";
export { Clock, instructionsPerSecond } from "./clock.js";
export { DebugConsole } from "./debug-console.js";
export { PowerPorts, type PowerEnd } from "./power.js";
export { SerialPort, type SerialOptions } from "./serial.js";
