// A small PC around a machine: the devices that test kernels expect, wired as on a board (docs/machine.md).

import type { Machine } from "../machine.js";
import type { Device } from "../device.js";
import { Clock } from "./clock.js";
import { Cmos } from "./cmos.js";
import { DebugConsole } from "./debug-console.js";
import { FwCfg } from "./fw-cfg.js";
import { IoApic } from "./io-apic.js";
import { LocalApic } from "./local-apic.js";
import { PciHost } from "./pci.js";
import { PicPair } from "./pic.js";
import { Pit } from "./pit.js";
import { PowerPorts, type PowerEnd } from "./power.js";
import { SerialPort } from "./serial.js";
import { TestDevice } from "./test-device.js";

export interface PcOptions {
  /** Takes what the guest sends on COM1. */
  readonly serial: (byte: number) => void;
  /** Takes what the guest writes to port 0xe9; the serial sink when absent. */
  readonly console?: (byte: number) => void;
  /** Takes diagnostic codes written to this port (0x80 on most boards). */
  readonly post?: { readonly port: number; readonly sink: (code: number) => void };
  /** Drives INTR; the machine's line when absent. */
  readonly interruptLine?: (asserted: boolean) => void;
}

/** The board of a machine. */
export interface Pc {
  readonly serial: SerialPort;
  readonly localApic: LocalApic;
  /** How the guest ended the run, once `Machine.run` has returned with a device's stop. */
  readonly end: () => PowerEnd | undefined;
}

/** Lines of the board. */
const serialLine = 4;
const timerLine = 0;
const timerPin = 2;
const apicBaseMsr = 0x1b;
const timeStampMsr = 0x10;

/** What the board's wires carry. */
interface Wires {
  end: PowerEnd | undefined;
  /** The 8259 pair's output. */
  externalPending: boolean;
  /** The local APIC's output. */
  interruptAsserted: boolean;
}

const idle = { end: undefined, externalPending: false, interruptAsserted: false } as const satisfies Wires;

/** Puts the devices on the machine's bus and connects their lines. */
export function attachPc(machine: Machine, options: PcOptions): Pc {
  const wires: Wires = { ...idle };
  const clock = new Clock(machine);
  const pic = new PicPair((asserted) => {
    wires.externalPending = asserted;
    localApic.update();
  });
  const localApic: LocalApic = new LocalApic(clock, {
    ...processorOf(machine, options, wires),
    externalPending: () => wires.externalPending,
    acknowledgeExternal: () => pic.acknowledge(),
    endOfInterrupt: (vector) => ioApic.endOfInterrupt(vector),
  });
  const ioApic: IoApic = new IoApic((message) => {
    if (!localApic.isDestination(message.destination, message.logical)) return;
    localApic.deliver(message.mode, message.vector, message.levelTriggered);
  });
  const setLine = (line: number, asserted: boolean): void => {
    if (line < 16) pic.setLine(line, asserted);
    ioApic.setPin(line === timerLine ? timerPin : line, asserted);
  };
  const serial = new SerialPort({ sink: options.serial, interrupt: (asserted) => setLine(serialLine, asserted) });
  const power = new PowerPorts((how) => {
    wires.end = how;
    machine.stopFromDevice(0);
  });
  const pit = new Pit(clock, (asserted) => setLine(timerLine, asserted));
  const testDevice = new TestDevice({ setLine, flush: () => machine.core.tlbFlush() });
  const board: Device = { name: "board", reset: () => void Object.assign(wires, idle) };
  const devices = [board, clock, localApic, ioApic, pic, pit, serial, power, testDevice];
  for (const device of [...devices, ...plainDevices(machine, options)]) {
    device.reset();
    machine.attach(device);
  }
  return { serial, localApic, end: () => wires.end };
}

/** The processor as the local APIC sees it. */
function processorOf(machine: Machine, options: PcOptions, wires: Wires) {
  const drive = options.interruptLine ?? ((asserted: boolean) => machine.setInterruptLine(asserted));
  return {
    taskPriorityClass: () => Number(machine.register("CR8")),
    setTaskPriorityClass: (value: number) => machine.setRegister("CR8", BigInt(value)),
    apicBase: () => machine.readMsr(apicBaseMsr) ?? 0n,
    timeStamp: () => machine.readMsr(timeStampMsr) ?? machine.retired,
    setInterrupt: (asserted: boolean) => {
      if (asserted === wires.interruptAsserted) return;
      wires.interruptAsserted = asserted;
      drive(asserted);
      lookUp(machine);
    },
    raiseNmi: () => {
      machine.raiseNmi();
      lookUp(machine);
    },
    raiseInit: (startupVector?: number) => {
      machine.raiseInit(startupVector);
      lookUp(machine);
    },
  };
}

/** Devices without a line to others. */
function plainDevices(machine: Machine, options: PcOptions): readonly Device[] {
  const { memoryBytes } = machine.platform;
  const { post } = options;
  return [
    new Cmos(() => machine.retired, memoryBytes),
    new DebugConsole(options.console ?? options.serial),
    new FwCfg({ memoryBytes, cpuCount: 1 }),
    new PciHost(),
    ...(post ? [postPort(post.port, post.sink)] : []),
  ];
}

/**
 * Makes a running core look at its lines before the next instruction: writing the flags that it has changes nothing
 * else. Devices act in the middle of a run, when the processor writes to them or an alarm rings.
 */
function lookUp(machine: Machine): void {
  machine.core.writeFlags(machine.core.readFlags());
}

function postPort(port: number, sink: (code: number) => void): Device {
  return {
    name: "diagnostic codes",
    ports: [[port, port]],
    reset: () => undefined,
    writePort: (_port, value) => sink(value & 0xff),
  };
}
