push eax
