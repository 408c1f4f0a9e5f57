lgdt eax
