mov eax, [rel 0x1000]
