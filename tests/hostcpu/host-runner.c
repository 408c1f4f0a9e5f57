// Runs snippets of ring-3 code on the processor of this computer and tells the state in which each one ended.
//
// Built by the tests with gcc. Reads fixed-size records from standard input, writes one to standard output for each.
// A snippet is entered by returning from a signal handler with its registers in place, and ends with the signal that
// its trap becomes. Code, data and stack lie at fixed addresses with unmapped pages around them; the tests map the
// same pages on our machine.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { codeAt = 0x10000000, dataAt = 0x20000000, stackAt = 0x30000000, pageBytes = 4096 };
enum { codeBytes = 64, dataBytes = 256, dataOffset = 2048, stackBytes = 128, stackTop = 2048 };
enum { code32 = 0x23, code64 = 0x33, userData = 0x2b };

struct input {
  uint64_t registers[16]; // in the order of the encoding: RAX, RCX, RDX, RBX, RSP, ...
  uint64_t flags;
  uint32_t bits; // 32 or 64
  uint32_t codeLength;
  uint8_t code[codeBytes];
  uint8_t data[dataBytes];
};

struct output {
  uint64_t registers[16];
  uint64_t flags;
  uint64_t rip;
  uint32_t vector;
  uint32_t errorCode;
  uint64_t linear;
  uint8_t data[dataBytes];
  uint8_t stack[stackBytes];
};

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct input in;
static struct output out;
static gregset_t home;
static volatile sig_atomic_t inside;

// Leaves our own code for the snippet.
static void enter(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  memcpy(home, registers, sizeof home);
  for (int i = 0; i < 16; i++) registers[order[i]] = (greg_t)in.registers[i];
  registers[REG_EFL] = (greg_t)in.flags;
  registers[REG_RIP] = codeAt;
  uint64_t selectors = (uint64_t)registers[REG_CSGSFS];
  uint64_t code = in.bits == 32 ? code32 : code64;
  registers[REG_CSGSFS] = (greg_t)((selectors & 0x0000ffffffff0000u) | code | ((uint64_t)userData << 48));
  inside = 1;
}

// The snippet's trap: keeps its state and goes home.
static void leave(int signal, siginfo_t *info, void *context) {
  (void)info;
  // A signal handler starts with the alignment checks of the code that it interrupted.
  __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(1ull << 18));
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (!inside) _exit(100 + signal);
  inside = 0;
  for (int i = 0; i < 16; i++) out.registers[i] = (uint64_t)registers[order[i]];
  out.flags = (uint64_t)registers[REG_EFL];
  out.rip = (uint64_t)registers[REG_RIP];
  out.vector = signal == SIGVTALRM ? 255 : (uint32_t)registers[REG_TRAPNO];
  out.errorCode = (uint32_t)registers[REG_ERR];
  out.linear = (uint64_t)registers[REG_CR2];
  memcpy(registers, home, sizeof home);
}

static void map(uintptr_t address, int protection) {
  void *wanted = (void *)address;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(wanted, pageBytes, protection, flags, -1, 0) != wanted) {
    perror("mmap");
    exit(2);
  }
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}

int main(void) {
  map(codeAt, PROT_READ | PROT_WRITE | PROT_EXEC);
  map(dataAt, PROT_READ | PROT_WRITE);
  map(stackAt, PROT_READ | PROT_WRITE);
  static uint8_t alternate[65536];
  sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL);
  handle(SIGUSR1, enter);
  const int traps[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGVTALRM};
  for (unsigned i = 0; i < sizeof traps / sizeof *traps; i++) handle(traps[i], leave);
  // Flat data segments, which 32-bit code needs and 64-bit code ignores.
  __asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(userData));
  while (fread(&in, sizeof in, 1, stdin) == 1) {
    memset(&out, 0, sizeof out);
    memset((void *)codeAt, 0xcc, pageBytes);
    memcpy((void *)codeAt, in.code, in.codeLength);
    memset((void *)dataAt, 0, pageBytes);
    memcpy((void *)(dataAt + dataOffset), in.data, dataBytes);
    memset((void *)stackAt, 0, pageBytes);
    // Returning from a handler leaves NT and ID as the last snippet set them.
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(1ull << 14 | 1ull << 21));
    // A snippet that loops is ended by its own processor time.
    struct itimerval limit = {.it_value = {.tv_usec = 200000}};
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    raise(SIGUSR1);
    memcpy(out.data, (void *)(dataAt + dataOffset), dataBytes);
    memcpy(out.stack, (void *)(stackAt + stackTop - stackBytes / 2), stackBytes);
    fwrite(&out, sizeof out, 1, stdout);
  }
  return 0;
}
