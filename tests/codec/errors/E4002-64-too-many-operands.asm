mov eax, ecx, edx
