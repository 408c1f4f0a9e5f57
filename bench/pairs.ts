// Pairs of VM entry and VM exit between guest code and guest code, inside the core: a VMM in guest memory enters its
// guest, which executes CPUID, again and again. The machines are those of the tests of VMX and SVM.

import { layout, type Machine } from "../src/machine/index.js";
import { Host, place as svmPlace } from "../tests/svm/driver.js";
import { place as vmxPlace } from "../tests/vmx/driver.js";
import { Root } from "../tests/vmx/root.js";

export interface PairSpeed {
  readonly name: string;
  readonly pairsPerSecond: number;
}

/** CPUID, which exits; RIP of the guest stays there. */
const cpuid = "0fa2";

export function measurePairs(): readonly PairSpeed[] {
  return [
    { name: "VMX", pairsPerSecond: measure(() => vmxLoop(new Root("skylake"))) },
    { name: "VMX with EPT, VPID", pairsPerSecond: measure(() => vmxLoop(withEptAndVpid(new Root("skylake")))) },
    { name: "SVM", pairsPerSecond: measure(() => svmLoop(new Host())) },
    { name: "SVM with nested paging", pairsPerSecond: measure(() => svmLoop(withNestedPaging(new Host()))) },
  ];
}

function withEptAndVpid(vmm: Root): Root {
  vmm.withEpt().set("ENABLE_VPID");
  return vmm;
}

function withNestedPaging(host: Host): Host {
  host.withNestedPaging();
  return host;
}

/** VMLAUNCH once; an exit leads to DEC R15, JZ, VMRESUME. */
function vmxLoop(vmm: Root): Machine {
  vmm.code(cpuid);
  const m = vmm.machine;
  m.writePhysical(vmxPlace.hostCode, Buffer.from("0f01c2", "hex"));
  m.writePhysical(vmxPlace.hostCode + 0x800n, Buffer.from("49ffcf" + "7403" + "0f01c3" + "f4", "hex"));
  m.setRegister("RIP", vmxPlace.hostCode);
  return m;
}

/** VMRUN, DEC R15, JNZ, HLT. */
function svmLoop(vmm: Host): Machine {
  vmm.intercept("CPUID").code(cpuid);
  const m = vmm.machine;
  m.view.setUint32(layout.CPU_BASE + layout.cpuLayout.hostOwned.offset, 0, true);
  m.setRegister("RAX", svmPlace.vmcb);
  m.writePhysical(svmPlace.hostCode, Buffer.from("0f01d8" + "49ffcf" + "75f8" + "f4", "hex"));
  return m;
}

/** The best of three, after a round that makes the engine compile. */
function measure(vmm: () => Machine): number {
  return Math.max(...Array.from({ length: 4 }, () => pairsPerSecond(vmm())));
}

function pairsPerSecond(machine: Machine): number {
  const rounds = 200_000;
  machine.setRegister("R15", BigInt(rounds));
  const start = process.cpuUsage();
  for (;;) {
    const stop = machine.run(1 << 30);
    if (stop.kind === "halted") break;
    // The ring of events is full now and then; nobody listens here.
    if (stop.kind !== "events-full") throw new Error(`the pairs ended by ${stop.kind}`);
    machine.drainEvents(() => undefined);
  }
  const used = process.cpuUsage(start);
  return rounds / ((used.user + used.system) / 1e6);
}
