// A small PC around a machine: the devices that test kernels expect, wired as on a board (docs/machine.md).

import { vmCrBits } from "../../isa/index.js";
import type { Machine } from "../machine.js";
import type { Device } from "../device.js";
import { ACTIVITY_WAIT_FOR_SIPI, cpuLayout as cpu } from "../layout.generated.js";
import { Processors } from "../processors.js";
import { ApicBus } from "./apic-bus.js";
import { Clock } from "./clock.js";
import { Cmos } from "./cmos.js";
import { DebugConsole } from "./debug-console.js";
import { FwCfg } from "./fw-cfg.js";
import { IoApic } from "./io-apic.js";
import { LocalApic } from "./local-apic.js";
import { NumericErrors } from "./numeric-errors.js";
import { ParallelPort } from "./parallel.js";
import { PciHost } from "./pci.js";
import { PicPair } from "./pic.js";
import { PmTimer } from "./pm-timer.js";
import { Pit } from "./pit.js";
import { PowerPorts, type PowerEnd } from "./power.js";
import { SerialPort } from "./serial.js";
import { TestDevice } from "./test-device.js";

export interface PcOptions {
  /** Takes what the guest sends on COM1 and, where `printer` is absent, on LPT1. */
  readonly serial: (byte: number) => void;
  readonly printer?: (byte: number) => void;
  /** Takes what the guest writes to port 0xe9; the serial sink when absent. */
  readonly console?: (byte: number) => void;
  /** Takes diagnostic codes written to this port (0x80 on most boards). */
  readonly post?: { readonly port: number; readonly sink: (code: number) => void };
  /** Drives INTR of the first processor; the machine's line when absent. */
  readonly interruptLine?: (asserted: boolean) => void;
  /** How many processors there are: 1 when absent. More than one are run by `Pc.processors`, not by the machine. */
  readonly cpus?: number;
}

/** The board of a machine. */
export interface Pc {
  readonly serial: SerialPort;
  /** That of the first processor. */
  readonly localApic: LocalApic;
  readonly processors: Processors;
  /** How the guest ended the run, once `Machine.run` has returned with a device's stop. */
  readonly end: () => PowerEnd | undefined;
}

/** Lines of the board. */
const serialLine = 4;
const timerLine = 0;
const numericErrorLine = 13;
const timerPin = 2;

/** What the board's wires carry. */
interface Wires {
  end: PowerEnd | undefined;
  /** The 8259 pair's output. */
  externalPending: boolean;
  /** The local APICs' outputs, a bit for each processor. */
  interruptsAsserted: number;
}

const idle = { end: undefined, externalPending: false, interruptsAsserted: 0 } as const satisfies Wires;

/** Puts the devices on the machine's bus and connects their lines. */
export function attachPc(machine: Machine, options: PcOptions): Pc {
  const wires: Wires = { ...idle };
  const clock = new Clock(machine);
  const processors = new Processors(machine, options.cpus ?? 1);
  const { apics, apicBus, ioApic, pic } = controllersOf({ machine, processors, options, wires }, clock);
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
  const numericErrors = new NumericErrors({
    asserted: () => processors.field(processors.current, cpu.numericError) !== 0n,
    ignore: () => processors.setField(processors.current, cpu.numericErrorIgnored, 1n),
    setLine: (asserted) => setLine(numericErrorLine, asserted),
  });
  const testDevice = new TestDevice({ setLine, flush: () => machine.core.tlbFlush() });
  const board: Device = {
    name: "board",
    reset: () => void Object.assign(wires, idle),
    save: () => wires,
    restore: (state) => void Object.assign(wires, state),
  };
  const devices = [processors, board, clock, apicBus, ioApic, pic, pit, serial, power, numericErrors, testDevice];
  for (const device of [...devices, new PmTimer(clock), ...plainDevices(machine, options)]) {
    device.reset();
    machine.attach(device);
  }
  return { serial, localApic: apics[0], processors, end: () => wires.end };
}

/** The interrupt controllers, connected with each other and with the processors. */
function controllersOf(board: Board, clock: Clock) {
  const { machine, processors, wires } = board;
  const pic = new PicPair((asserted) => {
    wires.externalPending = asserted;
    apics[0].update();
  });
  const apicOf = (index: number): LocalApic => {
    const apic: LocalApic = new LocalApic(
      clock,
      {
        ...processorOf(index, board, () => apic.initialize()),
        // The 8259 pair is wired to the first processor.
        externalPending: () => index === 0 && wires.externalPending,
        acknowledgeExternal: () => pic.acknowledge(),
        endOfInterrupt: (vector) => ioApic.endOfInterrupt(vector),
        send: (message) => apicBus.send(message, apic),
      },
      index,
    );
    return apic;
  };
  const others = Array.from({ length: processors.count - 1 }, (_, i) => apicOf(i + 1));
  const apics: readonly [LocalApic, ...LocalApic[]] = [apicOf(0), ...others];
  const apicBus: ApicBus = new ApicBus(apics, {
    current: () => apics[processors.current] ?? apics[0],
    page: () => Number(processors.field(processors.current, cpu.apicBase) & 0xffff_f000n),
    moved: () => machine.bus.moved(apicBus),
  });
  const ioApic: IoApic = new IoApic((message) => apicBus.send(message));
  return { apics, apicBus, ioApic, pic };
}

interface Board {
  readonly machine: Machine;
  readonly processors: Processors;
  readonly options: PcOptions;
  readonly wires: Wires;
}

/** A processor as its local APIC sees it; `initialize` is what INIT does to the APIC. */
function processorOf(index: number, { machine, processors, options, wires }: Board, initialize: () => void) {
  const field = (name: "cr8" | "apicBase" | "tscOffset" | "activity" | "vmxOperation" | "guestMode" | "vmCr"): bigint =>
    processors.field(index, cpu[name]);
  const setField = (name: "cr8" | "interruptLine" | "nmiPending" | "initPending" | "sipiPending", value: number) => {
    processors.setField(index, cpu[name], BigInt(value));
    if (index === processors.current) lookUp(machine);
  };
  return {
    taskPriorityClass: () => Number(field("cr8")),
    setTaskPriorityClass: (value: number) => processors.setField(index, cpu.cr8, BigInt(value)),
    apicBase: () => field("apicBase"),
    timeStamp: () => BigInt.asUintN(64, machine.retired + field("tscOffset")),
    setInterrupt: (asserted: boolean) => {
      const bit = 1 << index;
      if (asserted === ((wires.interruptsAsserted & bit) !== 0)) return;
      wires.interruptsAsserted ^= bit;
      if (index > 0 || options.interruptLine === undefined) setField("interruptLine", asserted ? 1 : 0);
      else {
        options.interruptLine(asserted);
        lookUp(machine);
      }
    },
    raiseNmi: () => setField("nmiPending", 1),
    raiseInit: (startupVector?: number) => {
      const waits = Number(field("activity")) === ACTIVITY_WAIT_FOR_SIPI;
      if (startupVector !== undefined) {
        if (waits) setField("sipiPending", 0x100 | startupVector);
        return;
      }
      const inVmx = field("vmxOperation") !== 0n;
      const isHeldBack = inVmx || field("guestMode") !== 0n || (field("vmCr") & vmCrBits.R_INIT) !== 0n;
      if (!isHeldBack) initialize();
      // Who waits for a start-up IPI already is as INIT would leave it.
      if (inVmx || !waits) setField("initPending", 1);
    },
  };
}

/** Devices without a line to others. */
function plainDevices(machine: Machine, options: PcOptions): readonly Device[] {
  const { memoryBytes } = machine.platform;
  const { post } = options;
  return [
    new Cmos(() => machine.retired, memoryBytes),
    new ParallelPort(options.printer ?? options.serial),
    new DebugConsole(options.console ?? options.serial),
    new FwCfg({ memoryBytes, cpuCount: options.cpus ?? 1 }),
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
    save: () => undefined,
    writePort: (_port, value) => sink(value & 0xff),
  };
}
