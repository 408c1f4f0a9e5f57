// Devices by themselves: registers, lines and time, without a processor.

import { expect, test } from "vitest";
import { Clock, instructionsPerSecond } from "../../../src/machine/devices/clock.js";
import { Cmos } from "../../../src/machine/devices/cmos.js";
import { FwCfg } from "../../../src/machine/devices/fw-cfg.js";
import { IoApic, type InterruptMessage } from "../../../src/machine/devices/io-apic.js";
import { LocalApic } from "../../../src/machine/devices/local-apic.js";
import { PicPair } from "../../../src/machine/devices/pic.js";
import { Pit } from "../../../src/machine/devices/pit.js";
import { PowerPorts, type PowerEnd } from "../../../src/machine/devices/power.js";
import { SerialPort } from "../../../src/machine/devices/serial.js";

/** Virtual time that a test moves by hand. */
class HandClock {
  retired = 0n;
  deadline: bigint | undefined;
  setDeadline(at: bigint | undefined): void {
    this.deadline = at;
  }
  /** Goes to a time, stopping at every deadline on the way as the processor would. */
  advance(clock: Clock, to: bigint): void {
    while (this.deadline !== undefined && this.deadline <= to) {
      this.retired = this.deadline;
      clock.elapsed(this.retired);
    }
    this.retired = to;
  }
}

test("the serial port sends bytes at once and says that it is idle", () => {
  const sent: number[] = [];
  const serial = new SerialPort({ sink: (byte) => sent.push(byte) });
  expect(serial.readPort(0x3fd, 1) & 0x60).toBe(0x60);
  for (const byte of [0x4f, 0x4b]) serial.writePort(0x3f8, byte, 1);
  expect(sent).toEqual([0x4f, 0x4b]);
});

test("the serial port's divisor hides behind bit 7 of the line control", () => {
  const sent: number[] = [];
  const serial = new SerialPort({ sink: (byte) => sent.push(byte) });
  serial.writePort(0x3fb, 0x83, 1);
  serial.writePort(0x3f8, 0x0c, 1);
  expect([serial.readPort(0x3f8, 1), sent]).toEqual([0x0c, []]);
  serial.writePort(0x3fb, 0x03, 1);
  expect(serial.readPort(0x3f8, 1)).toBe(0);
});

test("the serial port's loopback returns bytes and modem lines", () => {
  const serial = new SerialPort({ sink: () => expect.unreachable() });
  serial.writePort(0x3fc, 0x1f, 1);
  serial.writePort(0x3f8, 0xae, 1);
  expect([serial.readPort(0x3fe, 1), serial.readPort(0x3f8, 1)]).toEqual([0xf0, 0xae]);
});

test("the transmitter interrupt is taken back when it has been identified", () => {
  const line: boolean[] = [];
  const serial = new SerialPort({ sink: () => undefined, interrupt: (asserted) => line.push(asserted) });
  serial.writePort(0x3fc, 0x08, 1);
  serial.writePort(0x3f9, 0x02, 1);
  expect(line.at(-1)).toBe(true);
  expect([serial.readPort(0x3fa, 1), serial.readPort(0x3fa, 1)]).toEqual([2, 1]);
  expect(line.at(-1)).toBe(false);
});

test.each([
  ["debug exit", [[0xf4, 3]], { kind: "debug-exit", value: 3 }],
  ["the word Shutdown", [..."ShShutdown"].map((c) => [0x8900, c.charCodeAt(0)]), { kind: "power-off" }],
  ["ACPI sleep", [[0x604, 0x2000]], { kind: "power-off" }],
  ["the keyboard controller", [[0x64, 0xfe]], { kind: "reset" }],
  ["the reset control register", [[0xcf9, 0x06]], { kind: "reset" }],
  ["port 0x92", [[0x92, 0x01]], { kind: "reset" }],
] as const)("a guest ends its run by %s", (_name, writes, end) => {
  const ends: PowerEnd[] = [];
  const power = new PowerPorts((how) => ends.push(how));
  for (const [port, value] of writes) power.writePort(port ?? 0, value ?? 0);
  expect(ends).toEqual([end]);
});

test("fw_cfg gives its signature, the memory size and the number of processors", () => {
  const device = new FwCfg({ memoryBytes: 128 << 20, cpuCount: 1 });
  const read = (item: number, bytes: number): number[] => {
    device.writePort(0x510, item, 2);
    return Array.from({ length: bytes }, () => device.readPort(0x511, 1));
  };
  expect(String.fromCharCode(...read(0, 4))).toBe("QEMU");
  expect(read(3, 8)).toEqual([0, 0, 0, 8, 0, 0, 0, 0]);
  expect(read(5, 3)).toEqual([1, 0, 0]);
});

const startPic = (pic: PicPair): void => {
  const words = [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 0x04],
    [0x21, 0x01],
    [0xa0, 0x11],
    [0xa1, 0x28],
    [0xa1, 0x02],
    [0xa1, 0x01],
  ] as const;
  for (const [port, value] of words) pic.writePort(port, value, 1);
};

test("the 8259 pair serves the lower line first and holds it back until the end of the other", () => {
  let intr = false;
  const pic = new PicPair((asserted) => (intr = asserted));
  pic.reset();
  startPic(pic);
  pic.setLine(4, true);
  expect(intr).toBe(true);
  expect(pic.acknowledge()).toBe(0x24);
  pic.setLine(0, true);
  expect([intr, pic.acknowledge()]).toEqual([true, 0x20]);
  pic.setLine(3, true);
  expect(intr).toBe(false);
  pic.writePort(0x20, 0x20, 1);
  expect([intr, pic.acknowledge()]).toEqual([true, 0x23]);
});

test("the second 8259 answers through the cascade, and a level that has gone is answered as line 7", () => {
  let intr = false;
  const pic = new PicPair((asserted) => (intr = asserted));
  pic.reset();
  startPic(pic);
  pic.setLine(8, true);
  expect([intr, pic.acknowledge()]).toEqual([true, 0x28]);
  pic.writePort(0xa0, 0x20, 1);
  pic.writePort(0x20, 0x20, 1);
  pic.writePort(0x4d1, 0x02, 1);
  pic.setLine(9, true);
  pic.setLine(9, false);
  // The second controller has nothing left; the cascade's own edge stays latched.
  expect(pic.acknowledge()).toBe(0x2f);
});

test("a masked line waits in the request register", () => {
  let intr = false;
  const pic = new PicPair((asserted) => (intr = asserted));
  pic.reset();
  startPic(pic);
  pic.writePort(0x21, 0xff, 1);
  pic.setLine(1, true);
  expect([intr, pic.readPort(0x20, 1)]).toEqual([false, 2]);
  pic.writePort(0x21, 0x00, 1);
  expect(intr).toBe(true);
});

test("the timer's channel 0 gives an edge each period", () => {
  const time = new HandClock();
  const clock = new Clock(time);
  const edges: bigint[] = [];
  const pit = new Pit(clock, (asserted) => asserted && edges.push(time.retired));
  pit.reset();
  for (const [port, value] of [[0x43, 0x34], [0x40, 0xa9], [0x40, 0x04]] as const) pit.writePort(port, value, 1); // prettier-ignore
  time.advance(clock, instructionsPerSecond / 100n);
  // 1193182 / 0x4a9 is 1000.15 a second.
  expect(edges).toHaveLength(10);
});

test("the timer's channel 2 counts down in virtual time and shows its output in port 0x61", () => {
  const time = new HandClock();
  const pit = new Pit(new Clock(time), () => undefined);
  pit.reset();
  for (const [port, value] of [[0x61, 0x01], [0x43, 0xb0], [0x42, 0xff], [0x42, 0xff]] as const) pit.writePort(port, value, 1); // prettier-ignore
  time.retired = instructionsPerSecond / 1000n;
  pit.writePort(0x43, 0x80, 1);
  expect(pit.readPort(0x42, 1) | (pit.readPort(0x42, 1) << 8)).toBe(0xffff - 1193);
  expect(pit.readPort(0x61, 1) & 0x20).toBe(0);
  time.retired = instructionsPerSecond / 10n;
  expect(pit.readPort(0x61, 1) & 0x20).toBe(0x20);
});

test("the clock of the CMOS starts at its fixed date and follows virtual time", () => {
  let now = 0n;
  const cmos = new Cmos(() => now, 128 << 20);
  cmos.reset();
  const read = (index: number): number => {
    cmos.writePort(0x70, index);
    return cmos.readPort(0x71);
  };
  expect([0x32, 9, 8, 7, 4, 2, 0].map(read)).toEqual([0x20, 0x06, 0x05, 0x23, 0, 0, 0]);
  now = 75n * instructionsPerSecond;
  expect([2, 0].map(read)).toEqual([0x01, 0x15]);
  expect(read(0x34) | (read(0x35) << 8)).toBe(112 * 16);
});

function localApic() {
  const time = new HandClock();
  const clock = new Clock(time);
  const state = { base: 0xfee0_0900n, cr8: 0, intr: false, external: false, ended: [] as number[], nmis: 0 };
  const apic = new LocalApic(clock, {
    taskPriorityClass: () => state.cr8,
    setTaskPriorityClass: (value) => (state.cr8 = value),
    apicBase: () => state.base,
    timeStamp: () => 0n,
    setInterrupt: (asserted) => (state.intr = asserted),
    raiseInit: () => undefined,
    raiseNmi: () => state.nmis++,
    externalPending: () => state.external,
    acknowledgeExternal: () => 0x20,
    endOfInterrupt: (vector) => state.ended.push(vector),
    send: () => undefined,
  });
  apic.reset();
  return { apic, time, clock, state };
}

test("the local APIC delivers by priority class and remembers what is in service", () => {
  const { apic, state } = localApic();
  apic.accept(0x45, false);
  apic.accept(0x31, false);
  expect([state.intr, apic.acknowledge(), state.intr]).toEqual([true, 0x45, false]);
  apic.writeMemory(0xfee0_00b0, 0n);
  expect([state.intr, apic.acknowledge()]).toEqual([true, 0x31]);
});

test("the task priority holds back classes up to its own, through CR8 as through its register", () => {
  const { apic, state } = localApic();
  apic.writeMemory(0xfee0_0080, 0x45n);
  expect(state.cr8).toBe(4);
  apic.accept(0x4f, false);
  expect(state.intr).toBe(false);
  state.cr8 = 3;
  apic.update();
  expect([state.intr, apic.readMemory(0xfee0_0080, 4)]).toEqual([true, 0x30n]);
});

test("the local APIC's timer counts retired instructions, once or again and again", () => {
  const { apic, time, clock, state } = localApic();
  apic.writeMemory(0xfee0_03e0, 0xbn);
  apic.writeMemory(0xfee0_0320, 0x2_0040n);
  apic.writeMemory(0xfee0_0380, 1000n);
  time.advance(clock, 400n);
  expect([apic.readMemory(0xfee0_0390, 4), state.intr]).toEqual([600n, false]);
  time.advance(clock, 1000n);
  expect([state.intr, apic.acknowledge()]).toEqual([true, 0x40]);
  apic.writeMemory(0xfee0_00b0, 0n);
  time.advance(clock, 2500n);
  expect(state.intr).toBe(true);
});

test("the TSC-deadline timer fires at its deadline and then reads as zero", () => {
  const { apic, time, clock, state } = localApic();
  apic.writeMemory(0xfee0_0320, 0x4_0050n);
  apic.tscDeadline = 700n;
  time.advance(clock, 699n);
  expect([state.intr, apic.tscDeadline]).toEqual([false, 700n]);
  time.advance(clock, 700n);
  expect([state.intr, apic.tscDeadline]).toEqual([true, 0n]);
});

test("in x2APIC mode registers are MSRs and the page answers nothing", () => {
  const { apic, state } = localApic();
  expect(apic.readMsr(0x802)).toBeUndefined();
  state.base |= 1n << 10n;
  expect([apic.readMemory(0xfee0_0030, 4), apic.readMsr(0x803)]).toEqual([-1n, 0x5_0014n]);
  expect([apic.writeMsr(0x80b, 1n), apic.writeMsr(0x80b, 0n), apic.readMsr(0x80e)]).toEqual([false, true, undefined]);
  expect([apic.writeMsr(0x83f, 0x66n), apic.acknowledge()]).toEqual([true, 0x66]);
});

test("an interrupt to itself goes through the command register, and a vector below 16 is an error", () => {
  const { apic, state } = localApic();
  apic.writeMemory(0xfee0_0300, 0x4_0077n);
  expect([state.intr, apic.acknowledge()]).toEqual([true, 0x77]);
  apic.writeMemory(0xfee0_0300, 0x4_0003n);
  apic.writeMemory(0xfee0_0280, 0n);
  expect(apic.readMemory(0xfee0_0280, 4)).toBe(0x20n);
  apic.writeMemory(0xfee0_0300, 0x4_0400n);
  expect(state.nmis).toBe(1);
});

test("the 8259 pair reaches the processor through LINT0, or directly when the APIC is off", () => {
  const { apic, state } = localApic();
  state.external = true;
  apic.update();
  expect([state.intr, apic.acknowledge()]).toEqual([true, 0x20]);
  apic.writeMemory(0xfee0_0350, 0x1_0700n);
  expect(state.intr).toBe(false);
  state.base &= ~(1n << 11n);
  apic.update();
  expect([state.intr, apic.readMemory(0xfee0_0030, 4)]).toEqual([true, -1n]);
});

test("the I/O APIC sends an edge once and a level until it is gone", () => {
  const sent: InterruptMessage[] = [];
  const io = new IoApic((message) => sent.push(message));
  io.reset();
  const entry = (pin: number, low: number): void => {
    io.writeMemory(0xfec0_0000, BigInt(0x10 + 2 * pin));
    io.writeMemory(0xfec0_0010, BigInt(low));
  };
  entry(4, 0x0034);
  io.setPin(4, true);
  io.setPin(4, true);
  expect(sent.map(({ vector, levelTriggered }) => [vector, levelTriggered])).toEqual([[0x34, false]]);
  entry(9, 0x8039);
  io.setPin(9, true);
  io.endOfInterrupt(0x39);
  io.setPin(9, false);
  io.endOfInterrupt(0x39);
  expect(sent.slice(1).map(({ vector }) => vector)).toEqual([0x39, 0x39]);
  io.writeMemory(0xfec0_0000, 1n);
  expect(io.readMemory(0xfec0_0010)).toBe(0x0017_0020n);
});
