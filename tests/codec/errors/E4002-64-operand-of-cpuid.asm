cpuid eax
