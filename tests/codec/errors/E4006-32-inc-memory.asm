inc [eax]
