mov eax, r8d
