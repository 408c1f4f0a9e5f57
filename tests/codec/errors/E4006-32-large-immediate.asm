mov [eax], 0x80000000
